"""`reelwire dlq redrive` and `dlq discard`: what is done about dead letters. Both can be run again at any time."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from typing import Any

import click

from service.cli.commands.dead_letters.choice import choice_options, chosen
from service.cli.exits import Exit
from service.cli.manual import epilog
from service.cli.reading.cluster import partition_counts, producer
from service.cli.reading.dead_letter import DeadLetter, Filter, held, readable
from service.cli.reading.letter_acts import note_discarded, send_again
from service.cli.reading.letter_fates import discarded_places, fates_of
from service.cli.views.output import emit, json_option, note, say
from service.settings import Settings, load_settings

_WHY_LEFT_OUT = {
    "redriven": "redriven before",
    "discarded": "discarded before",
    "not_whole": "without the whole record (read it at its original place)",
    "notification": "notifications, which are no requests (write them to dlq.original.topic again)",
    "no_headers": "without the headers of a dead letter",
    "forgotten": "so old that nobody knows whether they were redriven (--again sends them)",
}


class Report:
    """What was done, for the last line; right also when the command was interrupted in the middle."""

    def __init__(self, done: str, *, dry_run: bool) -> None:
        self._done = f"would be {done}" if dry_run else done
        self.count = 0
        self.left_out: Counter[str] = Counter()

    def line(self) -> str:
        """How many were sent or discarded, and how many of each kind were left out."""
        kinds = [f"{count} {_WHY_LEFT_OUT[why]}" for why, count in self.left_out.most_common()]
        return f"{self.count} {self._done}" + (f"; left out: {', '.join(kinds)}" if kinds else "")


@click.command(
    "redrive",
    epilog=epilog(
        "reelwire dlq redrive --code unknown_type --dry-run",
        "reelwire dlq redrive --place 3:1207 --place 0:12",
        "reelwire dlq redrive --all --max-redrives 2 --rate 20",
    ),
)
@choice_options
@click.option("--max-redrives", type=click.IntRange(min=0), help="Leave out what was redriven more often than that.")
@click.option(
    "--rate", type=click.FloatRange(min=0, min_open=True), metavar="NUMBER", help="Send at most this many a second."
)
@click.option("--again", is_flag=True, help="Send also what was redriven before, or may have been.")
@click.option("--dry-run", is_flag=True, help="Show what would be sent, send nothing.")
@json_option
def redrive(
    max_redrives: int | None, rate: float | None, again: bool, dry_run: bool, as_json: bool, **typed: Any
) -> int:
    """Send dead letters to the requests topic again, with the same partition, key, value and headers.

    What was redriven is not sent again, by this or a later run, also after Ctrl-C; a letter that comes back because its
    record is still wrong is a new one. The report says what was sent and what was left out.
    """
    wanted = chosen(typed, max_redrives)
    report = Report("sent", dry_run=dry_run)
    return _reported(report, _redrive(load_settings(), wanted, report, rate, again, dry_run, as_json))


async def _redrive(
    settings: Settings, wanted: Filter, report: Report, rate: float | None, again: bool, dry_run: bool, as_json: bool
) -> None:
    topic = settings.topics.requests
    count = (await partition_counts(settings, [topic]))[topic]
    # Read all before the first is sent: a record that fails again comes back into the topic that is being read.
    letters = [letter async for letter in held(settings, wanted)]
    fates = await fates_of(settings, letters)
    sendable: list[DeadLetter] = []
    for letter in letters:
        fate = fates.of(letter)
        why = "no_headers" if letter.info is None else None if letter.info.is_whole else "not_whole"
        if letter.info is not None and not letter.info.is_request:
            why = "notification"
        if why is None and fate != "open" and not (again and fate != "discarded"):
            why = fate
        if why is None:
            sendable.append(letter)
        else:
            report.left_out[why] += 1
            if as_json:
                emit(letter.as_json() | {"sent_to": None, "left_out": why})
    if dry_run:
        for letter in sendable:
            report.count += 1
            _tell(letter, None, as_json)
        return
    async with producer(settings) as client:
        async for letter in _paced(sendable, rate):
            if letter.info is None:
                continue
            placed = await send_again(settings, client, letter, letter.info, count)
            report.count += 1
            _tell(letter, placed, as_json)


async def _paced(letters: Iterable[DeadLetter], rate: float | None) -> AsyncIterator[DeadLetter]:
    begin = time.monotonic()
    for number, letter in enumerate(letters):
        if rate is not None:
            await asyncio.sleep(max(0.0, begin + number / rate - time.monotonic()))
        yield letter


def _tell(letter: DeadLetter, placed: tuple[int, int] | None, as_json: bool) -> None:
    to = None if placed is None else f"{placed[0]}:{placed[1]}"
    if as_json:
        emit(letter.as_json() | {"sent_to": to})
    else:
        code = letter.info.code if letter.info else ""
        say(f"{letter.place} {code} {readable(letter.key) or '-'}" + (f" -> {to}" if to else ""))


@click.command(
    "discard",
    epilog=epilog(
        "reelwire dlq discard --place 3:1207 --reason 'the camera is gone'",
        "reelwire dlq discard --code not_json --since 2026-03-04T05:00:00Z --dry-run",
    ),
)
@choice_options
@click.option("--reason", help="Why; written to the note.")
@click.option("--dry-run", is_flag=True, help="Show what would be discarded, change nothing.")
@json_option
def discard(reason: str | None, dry_run: bool, as_json: bool, **typed: Any) -> int:
    """Mark dead letters as needing nothing more: they are neither listed nor redriven from now on.

    A note in the dead-letter topic says so. The letters themselves stay in the topic until its retention deletes them;
    `dlq list --discarded` shows them.
    """
    wanted = chosen(typed)
    report = Report("discarded", dry_run=dry_run)
    return _reported(report, _discard(load_settings(), wanted, report, reason, dry_run, as_json))


async def _discard(
    settings: Settings, wanted: Filter, report: Report, reason: str | None, dry_run: bool, as_json: bool
) -> None:
    letters = [letter async for letter in held(settings, wanted)]
    fates = await discarded_places(settings)
    async with producer(settings) as client:
        for letter in letters:
            if fates.of(letter) == "discarded":
                report.left_out["discarded"] += 1
                continue
            if not dry_run:
                await note_discarded(settings, client, letter, reason)
            report.count += 1
            if as_json:
                emit(letter.as_json() | {"discarded": not dry_run})
            else:
                say(f"{letter.place} {letter.info.code if letter.info else ''} {readable(letter.key) or '-'}")


def _reported(report: Report, work: Any) -> int:
    """Run the command's work, and end with the report, whatever ends it."""
    try:
        asyncio.run(work)
    except KeyboardInterrupt:
        note(f"\ninterrupted: {report.line()}; the same command goes on with the rest")
        raise
    except BaseException:
        if report.count:
            note(f"{report.line()}, then it failed; the same command goes on with the rest")
        raise
    note(report.line())
    return Exit.OK
