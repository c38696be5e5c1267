"""Every example in the help can be typed as it stands."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import pytest

from service.cli.group import reelwire as program
from service.settings import CONFIG_VARIABLE, TopicSettings
from tests.cli.conftest import Command
from tests.cli.examples import Example, calls, commands, examples

ALL = list(examples())
RUN_ALONE = (("config",), ("contracts", "check"), ("completion",))
RUN_WITH_BROKER = (("topics",), ("jobs", "list"), ("dlq", "list"), ("dlq", "redrive"), ("dlq", "discard"))


def runnable(beginnings: tuple[tuple[str, ...], ...]) -> list[Example]:
    """Those that need nothing which their line does not give: no file, no id, no cluster of three."""
    chosen = [one for one in ALL if not one.variables and any(one.arguments[: len(b)] == b for b in beginnings)]
    return [one for one in chosen if "--place" not in one.arguments]


def test_a_line_is_taken_apart_as_a_shell_does() -> None:
    line = "A=1 B='x y' reelwire dlq show 3:1207 --raw > file && eval \"$(reelwire completion bash)\" | jq '.a | .b'"
    assert [(one.arguments, one.variables) for one in calls("reelwire", line)] == [
        (("completion", "bash"), ()),
        (("dlq", "show", "3:1207", "--raw"), (("A", "1"), ("B", "x y"))),
    ]


@pytest.mark.parametrize("words", [words for words, _ in commands()])
def test_every_command_has_examples(words: str) -> None:
    assert any(one.shown_by == words for one in ALL)


@pytest.mark.parametrize("example", ALL, ids=str)
def test_an_example_is_understood_by_the_command_that_it_names(
    example: Example, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "schema.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(CONFIG_VARIABLE, "")  # put back after `--config`
    called: list[str] = []

    def record(name: str) -> Any:
        return lambda *_arguments, **_options: called.append(name)

    for words, command in commands():
        if command is not program and command.callback is not None:
            monkeypatch.setattr(command, "callback", record(words))
    try:
        program.main(list(example.arguments), standalone_mode=False)
    except click.exceptions.Exit as end:  # --help and --version
        called.append(str(end.exit_code))
    assert called
    assert called[-1].startswith("reelwire " + example.arguments[0]) or example.arguments[0].startswith("-")


@pytest.mark.acceptance
@pytest.mark.parametrize("example", runnable(RUN_ALONE), ids=str)
async def test_an_example_that_needs_no_broker_runs(command: Command, example: Example) -> None:
    result = await command(*example.arguments)
    assert result.code == 0, result.err


@pytest.mark.acceptance
async def test_the_examples_that_need_only_topics_run(reelwire: Command, topics: TopicSettings) -> None:
    chosen = runnable(RUN_WITH_BROKER)
    assert len(chosen) > 8
    for example in chosen:
        result = await reelwire(*example.arguments)
        assert result.code == 0, f"{example}: {result.err}"
