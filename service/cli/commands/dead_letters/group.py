"""`reelwire dlq`: list and show dead letters. What is done about them is in `acts.py`."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter

import click

from service.cli.commands.dead_letters.acts import discard, redrive
from service.cli.commands.dead_letters.choice import filter_options
from service.cli.exits import Exit
from service.cli.manual import epilog
from service.cli.reading.dead_letter import Filter, held, one, place_of, readable, readable_name
from service.cli.reading.letter_fates import Fate, discarded_places, fates_of
from service.cli.views.output import emit, json_option, note, say, table
from service.settings import Settings, load_settings

_SHOWN_CHARS = 80


@click.group("dlq", epilog=epilog("reelwire dlq list --open", "reelwire dlq redrive --code invalid --dry-run"))
def command() -> None:
    """Dead letters: copies of records that are not valid requests, with the reason in their headers."""


@command.command(
    "list",
    epilog=epilog(
        "reelwire dlq list", "reelwire dlq list --open --code invalid", "reelwire dlq list --json | jq .message"
    ),
)
@filter_options
@click.option("--open", "only_open", is_flag=True, help="Leave out what was redriven; reads the requests topic too.")
@click.option("--discarded", is_flag=True, help="Show also what was discarded.")
@json_option
def list_command(
    codes: tuple[str, ...], key: str | None, since: str | None, only_open: bool, discarded: bool, as_json: bool
) -> int:
    """List dead letters that were not discarded, and how many there are of each code."""
    settings = load_settings()
    wanted = Filter(frozenset(codes), key, since)
    counts = asyncio.run(_list(settings, wanted, _left_out(only_open=only_open, discarded=discarded), as_json))
    if not as_json:
        note(", ".join(f"{code}: {count}" for code, count in counts.most_common()) or "no dead letters")
    return Exit.OK


def _left_out(*, only_open: bool, discarded: bool) -> frozenset[Fate]:
    redriven: frozenset[Fate] = frozenset({"redriven"} if only_open else ())
    return redriven if discarded else redriven | {"discarded"}


async def _list(settings: Settings, wanted: Filter, left_out: frozenset[Fate], as_json: bool) -> Counter[str]:
    counts: Counter[str] = Counter()
    rows = []
    letters = [letter async for letter in held(settings, wanted)]
    fates = await (fates_of(settings, letters) if "redriven" in left_out else discarded_places(settings))
    for letter in letters:
        if fates.of(letter) in left_out:
            continue
        info = letter.info
        counts[info.code if info else "(unknown)"] += 1
        if as_json:
            emit(letter.as_json())
        elif info:
            message = info.message if len(info.message) <= _SHOWN_CHARS else info.message[: _SHOWN_CHARS - 1] + "…"
            redrives = info.redrive_count or ""
            rows.append((letter.place, info.failed_at, info.code, readable(letter.key), redrives, message))
        else:
            rows.append((letter.place, "", "(unknown)", readable(letter.key), "", "its dlq headers are missing"))
    if rows:
        table(("place", "failed at", "code", "key", "redrives", "message"), rows)
    return counts


@command.command(
    "show",
    epilog=epilog("reelwire dlq show 3:1207", "reelwire dlq show 3:1207 --raw > record.json"),
)
@click.argument("place")
@click.option("--raw", is_flag=True, help="Only the original value, byte for byte.")
@json_option
def show(place: str, raw: bool, as_json: bool) -> int:
    """Show one dead letter with all its headers. PLACE is PARTITION:OFFSET in the dead-letter topic."""
    try:
        partition, offset = place_of(place)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    letter = asyncio.run(one(load_settings(), partition, offset))
    headers = [
        (readable_name(name), readable(value)) for name, value in (letter.info.original_headers if letter.info else ())
    ]
    if raw:
        sys.stdout.buffer.write(letter.value or b"")
        sys.stdout.flush()
    elif as_json:
        emit(letter.as_json() | {"headers": headers, "value": readable(letter.value)})
    else:
        told = letter.as_json()
        rows: list[tuple[str, object]] = [(name, told[name]) for name in told if name not in {"place", "original"}]
        if letter.info:
            rows.append(("original", f"{letter.info.topic} {letter.info.partition}:{letter.info.offset}"))
        rows += [(f"header {name}", value) for name, value in headers]
        table(("name", "value"), rows)
        say("(null)" if letter.value is None else readable(letter.value) or "")
    return Exit.OK


command.add_command(redrive)
command.add_command(discard)
