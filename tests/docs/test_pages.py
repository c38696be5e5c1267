"""What pages name exists: settings, metrics, commands and their options; and the requests they show are valid."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import click
import pytest

from contracts.requests import parse_request
from service.cli.group import reelwire
from service.settings import Settings
from service.settings.sources import members
from tests.docs.pages import DOCS, ROOT, Block, blocks, commands

pytestmark = pytest.mark.unit

HOW_TOS = sorted(path.relative_to(DOCS).as_posix() for path in (DOCS / "howto").glob("*.md"))
GUIDES = [*HOW_TOS, "index.md", "tutorial.md", "guarantees.md", "troubleshooting.md", "reference/error-codes.md"]


def requests(name: str) -> list[Block]:
    """The blocks of a page that are requests."""
    return [block for block in blocks(name) if block.language == "json" and '"request_id"' in block.text]


@pytest.mark.parametrize("name", GUIDES)
def test_the_settings_of_a_guide_exist(name: str) -> None:
    text = (DOCS / name).read_text(encoding="utf-8")
    named = {found for found in re.findall(r"REELWIRE_[A-Z]+__[A-Z0-9_]+\b", text) if not found.endswith("_")}

    assert named - set(members(Settings)) == set()


@pytest.mark.parametrize("name", GUIDES)
def test_the_metrics_of_a_guide_exist(name: str) -> None:
    known = (DOCS / "reference" / "metrics.md").read_text(encoding="utf-8")
    text = (DOCS / name).read_text(encoding="utf-8")

    assert {found for found in re.findall(r"`(reelwire_\w+)`", text) if f"`{found}`" not in known} == set()


def _of(text: str) -> list[str] | None:
    """The words of a command of ours, up to a pipe or a redirection; None for other programs."""
    words = shlex.split(text, comments=True)
    for number, word in enumerate(words):
        if word in ("|", "||", ">", "&"):
            words = words[:number]
            break
    return words[1:] if words and words[0].rsplit("/", 1)[-1] == "reelwire" else None


@pytest.mark.parametrize("name", GUIDES)
def test_the_commands_of_a_guide_are_ones(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "schema.json").write_text('{"type": "object"}')
    monkeypatch.chdir(tmp_path)
    for block in blocks(name):
        for command in commands(block) if block.language == "console" else ():
            words = _of(command.text)
            if words is None or words == ["--version"]:
                continue
            current: click.Command = reelwire
            context = click.Context(reelwire, info_name="reelwire", help_option_names=["-h", "--help"])
            while isinstance(current, click.Group) and words and not words[0].startswith("-"):
                chosen = current.get_command(context, words[0])
                assert chosen is not None, command.text
                current, words = chosen, words[1:]
            current.make_context("reelwire", list(words), parent=context)  # raises for what the command does not take


@pytest.mark.parametrize("name", HOW_TOS)
def test_the_requests_of_a_guide_are_valid(name: str) -> None:
    for block in requests(name):
        parse_request(block.text.encode(), (), max_bytes=1 << 20)


def test_there_are_requests_to_look_at() -> None:
    assert sum(len(requests(name)) for name in HOW_TOS) >= 5


def test_the_readme_leads_to_the_pages() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")

    assert all(
        f"docs/{name}" in readme for name in ("tutorial.md", "howto/produce.md", "howto/consume.md", "guarantees.md")
    )


def test_every_event_example_of_the_messages_page_shows_headers_and_value() -> None:
    text = (DOCS / "reference" / "messages.md").read_text(encoding="utf-8")
    events = text[text.index("## video.analysis.fragments.v1") :]
    shown = re.findall(r"^    ```text\n(.*?)^    ```\n+    ```json\n(.*?)^    ```", events, re.MULTILINE | re.DOTALL)

    assert len(shown) == events.count("??? example")
    for headers, value in shown:
        names = {line.split(":", 1)[0].strip() for line in headers.splitlines()}
        assert names >= {"ce_id", "ce_source", "ce_type"} or "dlq.error.code" in names
        json.loads(value)
