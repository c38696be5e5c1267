"""`--json`: every command that has it stands on the page, and writes the members that the page says."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator

import click
import pytest

from service.cli.exits import Exit
from service.cli.group import reelwire as group
from service.domain.job import Phase
from tests.cli.conftest import Command, FakeService
from tests.cli.test_jobs import Log
from tests.cli.test_jobs import log as log
from tests.docs.pages import page

PAGE = page("json-output.md")
SOMETIMES = {"event", "dead_letter", "discarded", "left_out", "billed", "seen", "result", "demo"}
"""Members of which an object has one, or that stand for another object."""


def documented() -> dict[str, set[str]]:
    """The members of each command by the page; a list that begins with "those of" goes on from another's."""
    found: dict[str, set[str]] = {}
    for names, cell in re.findall(r"^\| (`[^|]+) \| [^|]+ \| ([^|]+) \|$", PAGE, re.MULTILINE):
        plain = re.sub(r"\([^)]*\)", "", cell).partition("; with")[0]
        first, *others = re.findall(r"`([^`]+)`", plain)
        members = {*found[first], *others} if plain.startswith("those of") else {first, *others}
        found |= dict.fromkeys(re.findall(r"`([^`]+)`", names), members)
    return found


def with_json(command: click.Command, name: str = "") -> Iterator[str]:
    if isinstance(command, click.Group):
        context = click.Context(command)
        for each in command.list_commands(context):
            below = command.get_command(context, each)
            assert below is not None
            yield from with_json(below, f"{name} {each}".strip())
    elif any("--json" in parameter.opts for parameter in command.params):
        yield name


@pytest.mark.unit
def test_every_command_with_json_is_on_the_page_and_no_other() -> None:
    assert set(documented()) == set(with_json(group))


@pytest.mark.unit
def test_the_names_of_errors_are_on_the_page() -> None:
    said = PAGE.partition("## Errors")[2]
    assert all(f"`{code.name.lower()}`" in said for code in Exit if code not in (Exit.OK, Exit.INTERRUPTED))


@pytest.mark.acceptance
async def test_commands_write_the_members_that_the_page_says(reelwire: Command, fake: FakeService, log: Log) -> None:
    for key in (b"a", b"b"):
        await fake.refuse(await fake.produce(b"{", key), "not_json", "no JSON")
    await log.job("flying", Phase.WATCHING, 0)
    letter = (await reelwire("dlq", "list", "--json")).json[0]["place"]
    assert (await reelwire("pause", "--tenant", "acme", "--json")).code == 0
    calls = {
        "submit": ["submit", "https://media.example.com/a.mp4"],
        "cancel": ["cancel", "flying"],
        "pause": ["pause", "--list"],
        "jobs list": ["jobs", "list"],
        "jobs show": ["jobs", "show", "flying"],
        "dlq list": ["dlq", "list"],
        "dlq show": ["dlq", "show", letter],
        "dlq redrive": ["dlq", "redrive", "--all", "--dry-run"],
        "dlq discard": ["dlq", "discard", "--key", "b", "--dry-run"],
        "doctor": ["doctor", "--no-platform"],
        "topics create": ["topics", "create"],
        "topics acls": ["topics", "acls"],
        "config": ["config", "--changed"],
        "emulator verify": ["emulator", "verify"],
        "watch": ["watch", "--from-beginning", "--until-now"],
    }
    results = await asyncio.gather(*(reelwire(*words, "--json") for words in calls.values()))
    told = dict(zip(calls, results, strict=True))
    told["topics check"] = await reelwire("topics", "check", "--json", REELWIRE_TOPICS__PARTITIONS="7")
    told["resume"] = await reelwire("resume", "--all", "--json")

    wanted = documented()
    for name, result in told.items():
        assert result.json, f"{name}: {result.err}"
        for line in result.json:
            assert set(line) <= wanted[name], name
            assert wanted[name] - set(line) <= SOMETIMES, name
