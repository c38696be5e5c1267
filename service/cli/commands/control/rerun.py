"""`reelwire rerun`: begin ended requests again, one by its id or those that failed."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable

import click

from contracts.codes import ErrorCode
from contracts.instants import rfc3339
from service.cli.exits import CommandError, Exit
from service.cli.manual import epilog
from service.cli.reading.cluster import producer, send
from service.cli.reading.request_search import find_request
from service.cli.reading.reruns import SKIPPED, End, Rerun, Sent, last_ends, originals, plan, sent_requests, value_for
from service.cli.times import Moment, Rate
from service.cli.views.output import emit, json_option, note, say
from service.settings import Settings, load_settings


@click.command(
    "rerun",
    epilog=epilog(
        "reelwire rerun cam7-918273",
        "reelwire rerun --failed --since 2h --dry-run",
        "reelwire rerun --failed --since 2026-03-04T05:00:00Z --code platform_unavailable --rate 30/min",
    ),
)
@click.argument("request_id", required=False)
@click.option("--failed", is_flag=True, help="Every request whose last run has failed, by these filters.")
@click.option("--since", type=Moment(ahead=False), metavar="RFC3339|DURATION",
              help="With --failed: those that failed since then, or that long ago.")  # fmt: skip
@click.option("--before", type=Moment(ahead=False), metavar="RFC3339|DURATION",
              help="With --failed: those that failed before then.  [default: now]")  # fmt: skip
@click.option("--code", "codes", multiple=True, type=click.Choice([code.value for code in ErrorCode]),
              help="With --failed: only this code; may be given several times.")  # fmt: skip
@click.option("--partition", type=click.IntRange(min=0), help="With an id that is in several partitions: this one.")
@click.option(
    "--rate", type=Rate(), metavar="N[/s|/min|/h]", help="Send at most at this rate.  [default: as fast as it goes]"
)
@click.option("--without-deadline", is_flag=True, help="Take the deadlines out of the requests.")
@click.option("--dry-run", is_flag=True, help="Show what would be sent, send nothing.")
@json_option
def command(
    request_id: str | None,
    failed: bool,
    since: float | None,
    before: float | None,
    codes: tuple[str, ...],
    partition: int | None,
    rate: float | None,
    without_deadline: bool,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Begin REQUEST_ID again, or with --failed every request that has failed.

    The original request is sent to its own partition once more, with the next higher `run`. A run that is in the topic
    already is not sent again, so an interrupted command may be repeated. Exit code 4 when the request is still under
    way or is not known.
    """
    if (request_id is None) is not failed:
        raise click.UsageError("give a request id, or --failed with --since")
    if failed and (since is None or partition is not None):
        raise click.UsageError("--failed needs --since, and goes without --partition")
    if not failed and (since is not None or before is not None or codes):
        raise click.UsageError("--since, --before and --code go with --failed, not with a request id")
    settings, keep = load_settings(), not without_deadline
    now = time.time()
    if request_id is not None:
        work = _one(settings, request_id, partition, now, keep_deadline=keep)
    else:
        until = now if before is None else before
        work = _failed(settings, since or 0.0, until, frozenset(codes), now, keep_deadline=keep)
        if not (dry_run or as_json):
            note(f"what failed before {rfc3339(until)}; when interrupted, repeat it with --before {rfc3339(until)}")
    sent = asyncio.run(_rerun(settings, work, rate, keep_deadline=keep, dry_run=dry_run, as_json=as_json))
    if not as_json:
        note(f"{sent} {'would be sent' if dry_run else 'sent'}")
    return Exit.OK


async def _rerun(
    settings: Settings,
    work: Awaitable[list[Rerun]],
    rate: float | None,
    *,
    keep_deadline: bool,
    dry_run: bool,
    as_json: bool,
) -> int:
    reruns = await work
    if dry_run or not reruns:
        for rerun in reruns:
            _tell(rerun, None, as_json=as_json)
        return len(reruns)
    sent, next_at = 0, time.monotonic()
    async with producer(settings) as client:
        async for rerun, record in originals(settings, reruns):
            await asyncio.sleep(max(0.0, next_at - time.monotonic()))
            next_at = time.monotonic() + (1 / rate if rate else 0.0)
            _, offset = await send(
                settings,
                client,
                settings.topics.requests,
                key=record.key,
                value=value_for(record, rerun.run, keep_deadline=keep_deadline),
                headers=record.headers,
                partition=record.partition,
            )
            _tell(rerun, offset, as_json=as_json)
            sent += 1
    if sent < len(reruns):
        note(f"{len(reruns) - sent} left out: {SKIPPED['request_gone']}")
    return sent


def _tell(rerun: Rerun, offset: int | None, *, as_json: bool) -> None:
    if as_json:
        members = {"request_id": rerun.request_id, "run": rerun.run, "code": rerun.code}
        emit({"role": "requests", "partition": rerun.partition, "offset": offset} | members)
    else:
        say(f"{rerun.request_id} run {rerun.run}" + (f", failed with {rerun.code}" if rerun.code else ""))


async def _failed(
    settings: Settings, since: float, before: float, codes: frozenset[str], now: float, *, keep_deadline: bool
) -> list[Rerun]:
    ends = {
        place: end
        for place, end in (await last_ends(settings, since, before)).items()
        if end.type == "failed" and (not codes or end.code in codes)
    }
    if not ends:
        return []
    sent = await sent_requests(settings, lambda partition, request_id: (partition, request_id) in ends)
    planned = plan(ends, sent, now, keep_deadline=keep_deadline)
    left_out = Counter(one[1] for one in planned if not isinstance(one, Rerun))
    for why, count in left_out.items():
        note(f"{count} left out: {SKIPPED[why]}")
    return [one for one in planned if isinstance(one, Rerun)]


async def _one(
    settings: Settings, request_id: str, partition: int | None, now: float, *, keep_deadline: bool
) -> list[Rerun]:
    # First the topic, then who has taken it: a rerun that comes between the two is then seen as under way.
    sent = await sent_requests(settings, lambda _, known: known == request_id)
    states = {one.partition: one for one in await find_request(settings, request_id)}
    places = sorted({place for place, _ in sent} | set(states))
    if partition is not None:
        places = [place for place in places if place == partition]
    if not places:
        where = "" if partition is None else f" in partition {partition}"
        raise CommandError(
            f"no request {request_id} is known{where}: its record is not in the requests topic (any more); "
            "check the id, and that REELWIRE_TOPICS__* are those of the service",
            Exit.REQUEST_FAILED,
        )
    if len(places) > 1:
        listed = ", ".join(map(str, places))
        raise CommandError(f"{request_id} is in partitions {listed}; choose one with --partition", Exit.REQUEST_FAILED)
    (place,) = places
    state, last = states.get(place), sent.get((place, request_id))
    if state is not None and state.state == "live":
        run = "" if state.job is None else f" (run {state.job.run})"
        raise CommandError(
            f"{request_id} is under way{run}; a rerun begins when it has ended: reelwire cancel {request_id} ends it",
            Exit.REQUEST_FAILED,
        )
    if state is not None and state.state == "unread":
        run = "" if last is None else f": run {last.run}"
        raise CommandError(
            f"{request_id} is in the requests topic and not taken yet{run}; nothing was sent", Exit.REQUEST_FAILED
        )
    if last is None:
        raise CommandError(
            f"{request_id} has ended, and its request is no longer in the requests topic; send it again under a new id",
            Exit.REQUEST_FAILED,
        )
    ended_run = 0 if state is None or state.ended is None else state.ended.run or 1
    end = End("ended", max(last.run, ended_run), now, None)
    return _only(request_id, place, end, last, now, keep_deadline=keep_deadline)


def _only(request_id: str, partition: int, end: End, last: Sent, now: float, *, keep_deadline: bool) -> list[Rerun]:
    where = (partition, request_id)
    (planned,) = plan({where: end}, {where: last}, now, keep_deadline=keep_deadline)
    if not isinstance(planned, Rerun):
        raise CommandError(f"{request_id}: {SKIPPED[planned[1]]}", Exit.REQUEST_FAILED)
    return [planned]
