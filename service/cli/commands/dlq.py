"""`reelwire dlq`: list and show dead letters, and send them to the requests topic again."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from datetime import UTC, datetime

import click

from contracts.codes import DeadLetterCode
from contracts.instants import parse_rfc3339
from service.cli.exits import Exit
from service.cli.manual import EPILOG, epilog
from service.cli.reading.cluster import partition_counts, producer, send
from service.cli.reading.dead_letter import DeadLetter, Filter, held, one, place_of, readable, readable_name
from service.cli.views.output import emit, json_option, note, say, table
from service.settings import Settings, load_settings

_SHOWN_CHARS = 80


@click.group("dlq", epilog=EPILOG)
def command() -> None:
    """Dead letters: copies of records that are not valid requests, with the reason in their headers."""


def _since(_context: click.Context, _option: click.Parameter, value: str | None) -> str | None:
    if value is None:
        return None
    try:
        at: datetime = parse_rfc3339(value)
    except ValueError:
        raise click.BadParameter("write RFC 3339 with an offset, such as 2026-03-04T05:00:00Z") from None
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


_code = click.option(
    "--code", "codes", multiple=True, type=click.Choice([code.value for code in DeadLetterCode]), help="Only this code."
)
_key = click.option("--key", help="Only records with this key.")
_time = click.option("--since", callback=_since, metavar="RFC3339", help="Only what failed since then.")


@command.command(
    "list",
    epilog=epilog("reelwire dlq list", "reelwire dlq list --code invalid", "reelwire dlq list --json | jq .message"),
)
@_code
@_key
@_time
@json_option
def list_command(codes: tuple[str, ...], key: str | None, since: str | None, as_json: bool) -> int:
    """List dead letters, and how many there are of each code."""
    settings = load_settings()
    counts = asyncio.run(_list(settings, Filter(frozenset(codes), key, since), as_json))
    if not as_json:
        note(", ".join(f"{code}: {count}" for code, count in counts.most_common()) or "no dead letters")
    return Exit.OK


async def _list(settings: Settings, wanted: Filter, as_json: bool) -> Counter[str]:
    counts: Counter[str] = Counter()
    rows = []
    async for letter in held(settings, wanted):
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
        table(("", ""), rows)
        say("(null)" if letter.value is None else readable(letter.value) or "")
    return Exit.OK


@command.command(
    "redrive",
    epilog=epilog(
        "reelwire dlq redrive --code unknown_type --dry-run",
        "reelwire dlq redrive --place 3:1207 --place 0:12",
        "reelwire dlq redrive --all --max-redrives 2",
    ),
)
@_code
@_key
@_time
@click.option("--place", "places", multiple=True, metavar="PARTITION:OFFSET", help="Only the one at this place.")
@click.option("--max-redrives", type=click.IntRange(min=0), help="Leave out what was redriven more often than that.")
@click.option("--all", "everything", is_flag=True, help="Needed when nothing else says which ones.")
@click.option("--dry-run", is_flag=True, help="Show what would be sent, send nothing.")
@json_option
def redrive(
    codes: tuple[str, ...],
    key: str | None,
    since: str | None,
    places: tuple[str, ...],
    max_redrives: int | None,
    everything: bool,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Send dead letters to the requests topic again, with the same partition, key, value and headers.

    The dead letters stay in their topic, so a second redrive sends them again. The service ignores a known request id.
    """
    if not (codes or key or since or places or everything):
        raise click.UsageError("say which ones: --code, --key, --since, --place, or --all")
    try:
        chosen = frozenset(place_of(place) for place in places)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    wanted = Filter(frozenset(codes), key, since, chosen, max_redrives)
    sent = asyncio.run(_redrive(load_settings(), wanted, dry_run, as_json))
    if not as_json:
        note(f"{sent} {'would be sent' if dry_run else 'sent'}")
    return Exit.OK


async def _redrive(settings: Settings, wanted: Filter, dry_run: bool, as_json: bool) -> int:
    count = (await partition_counts(settings, [settings.topics.requests]))[settings.topics.requests]
    # Read all before the first is sent: a record that fails again comes back into the topic that is being read.
    found = [(letter, letter.info) async for letter in held(settings, wanted) if letter.info is not None]
    letters = [(letter, info) for letter, info in found if info.is_whole]
    if len(letters) < len(found):
        note(f"{len(found) - len(letters)} left out: they do not hold the whole record; read it at its original place")
    if dry_run:
        for letter, _ in letters:
            _tell(letter, None, as_json)
        return len(letters)
    async with producer(settings) as client:
        for letter, info in letters:
            placed = await send(
                settings,
                client,
                settings.topics.requests,
                key=letter.key,
                value=letter.value,
                headers=info.redrive_headers(),
                # A request id is known in its partition only, and another partitioner may have chosen that one.
                partition=info.partition % count,
            )
            _tell(letter, placed, as_json)
    return len(letters)


def _tell(letter: DeadLetter, placed: tuple[int, int] | None, as_json: bool) -> None:
    to = None if placed is None else f"{placed[0]}:{placed[1]}"
    if as_json:
        emit(letter.as_json() | {"sent_to": to})
    else:
        code = letter.info.code if letter.info else ""
        say(f"{letter.place} {code} {readable(letter.key) or '-'}" + (f" -> {to}" if to else ""))
