"""`reelwire watch`: show the records of the output topics as they are written."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass
from datetime import UTC, datetime

import click
from rich.text import Text

from contracts.events import event_types
from service.cli.exits import Exit
from service.cli.manual import epilog
from service.cli.reading.event_reader import event_reader
from service.cli.reading.output_record import OutputRecord, describe
from service.cli.views.output import console, emit, json_option, note
from service.cli.words import visible
from service.settings import Settings, load_settings

_TYPES = frozenset({*event_types(), "dead_letter", "discarded"})
_COLOURS = {"completed": "green", "failed": "red", "canceled": "yellow", "dead_letter": "red", "fragment": "cyan"}


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which events are shown."""

    request: str | None
    types: frozenset[str]

    def matches(self, event: OutputRecord) -> bool:
        if self.types and event.type not in self.types:
            return False
        if self.request is None:
            return True
        # A dead letter has no request id; `reelwire submit` sends the id as the key.
        return event.request_id == self.request or (event.type == "dead_letter" and event.key == self.request)


@click.command(
    "watch",
    epilog=epilog(
        "reelwire watch",
        "reelwire watch --request cam7-918273 --from-beginning",
        "reelwire watch --types completed,failed,canceled --json | jq .event.request_id",
        "reelwire watch --from-beginning --until-now --json > events.jsonl",
    ),
)
@click.option("--request", metavar="ID", help="Only this request; ends with its completion.")
@click.option("--from-beginning", is_flag=True, help="Everything the topics still hold, then what comes.")
@click.option("--types", metavar="LIST", help="Only these types, separated by commas: fragment,completed,dead_letter,…")
@click.option("--until-now", is_flag=True, help="Stop at what is the end now; with --from-beginning.")
@json_option
def command(request: str | None, from_beginning: bool, types: str | None, until_now: bool, as_json: bool) -> int:
    """Show fragments, progress, completions and dead letters until Ctrl-C. Only committed records are shown.

    With --request it ends with the completion: exit code 0 for completed, 4 for failed, canceled or a dead letter.
    """
    if until_now and not from_beginning:
        raise click.UsageError("--until-now shows nothing without --from-beginning; give both")
    chosen = frozenset(part.strip() for part in types.split(",") if part.strip()) if types else frozenset[str]()
    unknown = sorted(chosen - _TYPES)
    if unknown:
        raise click.UsageError(f"--types {', '.join(unknown)}: no such type; there are {', '.join(sorted(_TYPES))}")
    settings = load_settings()
    last = asyncio.run(watch(settings, Wanted(request, chosen), from_beginning, until_now, as_json))
    return Exit.REQUEST_FAILED if last in {"failed", "canceled", "dead_letter"} else Exit.OK


async def watch(settings: Settings, wanted: Wanted, from_beginning: bool, until_now: bool, as_json: bool) -> str | None:
    """Show events. Returns the type of the event that ended the wanted request; None without one."""
    async with event_reader(settings) as reader:
        ends = await reader.ends()
        reader.begin(await reader.beginnings() if from_beginning else ends)
        if not as_json:
            note("watching; Ctrl-C ends it")
        async for event in reader.until(ends) if until_now else reader.follow():
            if wanted.matches(event):
                _show(event, as_json=as_json)
            if wanted.request is not None and _ends(wanted, event):
                return event.type
    return None


def _ends(wanted: Wanted, event: OutputRecord) -> bool:
    final = event.type in {"completed", "failed", "canceled", "dead_letter"}
    return final and Wanted(wanted.request, frozenset()).matches(event)


def _show(event: OutputRecord, *, as_json: bool) -> None:
    if as_json:
        emit(event.as_json())
        return
    at = datetime.fromtimestamp(event.timestamp_ms / 1000, UTC).astimezone().strftime("%H:%M:%S")
    who = visible(event.request_id or event.key or "-")
    words = visible(describe(event).replace("\n", "⏎"))
    if not sys.stdout.isatty():
        click.echo(f"{at} {event.partition} {who} {event.attempt} {event.type} {words}")
        return
    line = Text.assemble(
        (at, "dim"),
        f" {event.partition} ",
        (who, "bold"),
        f" {event.attempt or ' '} ",
        (f"{event.type:<14}", _COLOURS.get(event.type, "")),
        words,
    )
    console().print(line)
