"""`reelwire watch`: show the records of the output topics as they are written."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime

import click
from rich.text import Text

from contracts.events import event_types
from service.cli.exits import Exit
from service.cli.manual import epilog
from service.cli.reading.event_reader import event_reader
from service.cli.reading.output_record import PUBLISHED, OutputRecord, describe
from service.cli.views.output import console, emit, json_option, note
from service.cli.words import visible
from service.settings import Settings, load_settings

_TYPES = frozenset({*event_types(), "dead_letter", "discarded"})
_ENDS = frozenset({"completed", "failed", "canceled"})
_BEGIN_NOTHING = frozenset({"duplicate", "cancel_ignored"})
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
@click.option("--request", metavar="ID", help="Only this request; ends with the completion of its latest run.")
@click.option("--from-beginning", is_flag=True, help="Everything the topics still hold, then what comes.")
@click.option("--types", metavar="LIST", help="Only these types, separated by commas: fragment,completed,dead_letter,…")
@click.option("--until-now", is_flag=True, help="Stop at what is the end now; with --from-beginning.")
@json_option
def command(request: str | None, from_beginning: bool, types: str | None, until_now: bool, as_json: bool) -> int:
    """Show fragments, progress, completions and dead letters until Ctrl-C. Only committed records are shown.

    With --request it ends with the completion of the latest run that is known: exit code 0 for completed, 4 for
    failed, canceled or a dead letter. A line is: time, partition, request, run, attempt, type, words.
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
    last = LatestRun(wanted)
    async with event_reader(settings) as reader:
        ends = await reader.ends()
        reader.begin(await reader.beginnings() if from_beginning else ends)
        if not as_json:
            note("watching; Ctrl-C ends it")
        if from_beginning:
            # What the topics hold is read to its end: behind the end of one run there may be another run.
            async for event in _in_order(reader.until(ends), wanted):
                _shown(event, wanted, last, as_json=as_json)
        if until_now or last.ended_as() is not None:
            return last.ended_as()
        async for event in reader.follow():
            _shown(event, wanted, last, as_json=as_json)
            if last.ended_as() is not None:
                break
    return last.ended_as()


async def _in_order(events: AsyncIterator[OutputRecord], wanted: Wanted) -> AsyncIterator[OutputRecord]:
    """Those of the wanted request in order of time, once all are read; without a request all of them, as they come.

    Topics are read side by side: fragments may come long before the `accepted` of their request.
    """
    of_request: list[OutputRecord] = []
    async for event in events:
        if wanted.request is None:
            yield event
        elif Wanted(wanted.request, frozenset()).matches(event):
            of_request.append(event)
    of_request.sort(key=lambda event: (event.timestamp_ms, PUBLISHED.index(event.role)))
    for event in of_request:
        yield event


class LatestRun:
    """How the latest run of one request has ended, by what was read so far; without a request nothing ends.

    Topics are read side by side, so the events of two runs may come in any order: numbers of runs and times decide.
    """

    def __init__(self, wanted: Wanted) -> None:
        self._wanted = Wanted(wanted.request, frozenset()) if wanted.request is not None else None
        self._run = 0
        self._end: str | None = None
        self._event_ms = self._letter_ms = -1

    def ended_as(self) -> str | None:
        """The type of its end; None while it is under way. A dead letter is one until something later is published."""
        return "dead_letter" if self._letter_ms > self._event_ms else self._end

    def see(self, event: OutputRecord) -> None:
        """Note an event."""
        # What was told of a record that began nothing may name a run that never is.
        if self._wanted is None or event.type in _BEGIN_NOTHING or not self._wanted.matches(event):
            return
        if event.type == "dead_letter":
            self._letter_ms = max(self._letter_ms, event.timestamp_ms)
            return
        self._event_ms = max(self._event_ms, event.timestamp_ms)
        if event.run > self._run:
            self._run, self._end = event.run, None
        if event.type in _ENDS and event.run == self._run:
            self._end = event.type


def _shown(event: OutputRecord, wanted: Wanted, last: LatestRun, *, as_json: bool) -> None:
    last.see(event)
    if wanted.matches(event):
        _show(event, as_json=as_json)


def _show(event: OutputRecord, *, as_json: bool) -> None:
    if as_json:
        emit(event.as_json())
        return
    at = datetime.fromtimestamp(event.timestamp_ms / 1000, UTC).astimezone().strftime("%H:%M:%S")
    who = visible(event.request_id or event.key or "-")
    words = visible(describe(event).replace("\n", "⏎"))
    if not sys.stdout.isatty():
        click.echo(f"{at} {event.partition} {who} {event.run} {event.attempt} {event.type} {words}")
        return
    line = Text.assemble(
        (at, "dim"),
        f" {event.partition} ",
        (who, "bold"),
        f" {event.run or ' '} {event.attempt or ' '} ",
        (f"{event.type:<14}", _COLOURS.get(event.type, "")),
        words,
    )
    console().print(line)
