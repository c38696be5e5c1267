"""The routes that only read."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiokafka.errors import KafkaError
from starlette.requests import Request
from starlette.responses import Response

from service.cli.exits import CommandError, Exit
from service.cli.reading.dead_letter import DeadLetter, one
from service.console.feed.completion_record import read_completion
from service.console.http.access import state_of
from service.console.http.answers import LargeAnswer, Refusal, json_answer
from service.console.model.detail import completion_of, detail_of, shown_completion
from service.console.model.entry import Entry, row_of
from service.console.model.letters import whole_letter
from service.console.model.listing import MOST_ROWS, Query, page_of
from service.console.state import ConsoleState
from service.errors import RetryLater
from service.kafka.connecting.refusals import reading_words
from service.telemetry.redaction import clean_members

_STATES = ("live", "ended", "all")
_LETTER_STATES = ("open", "redriven", "discarded")
_MOST_DAYS = 31
_LARGE_BYTES = 64 * 1024  # of a completion: a larger one is made ready in a thread, and few are at once
_WAIT_SECONDS = 10.0
_READ_SECONDS = 20.0
_RETRY_SECONDS = 3
_PLACE_DIGITS = 19  # of a partition or an offset


async def jobs(request: Request) -> Response:
    """A page of the list of requests."""
    state, query = state_of(request), request.query_params
    wanted = Query(
        state=_one_of(query.get("state"), _STATES, "state") or "all",
        phase=query.get("phase") or None,
        mode=query.get("mode") or None,
        key=query.get("key") or None,
        tenant=query.get("tenant") or None,
        code=query.get("code") or None,
        text=query.get("text") or None,
        since=_number(query.get("since"), "since"),
        until=_number(query.get("until"), "until"),
    )
    board = state.hub.board
    limit = _limit(query.get("limit"))
    try:
        page = page_of(board.all(), wanted, limit=limit, before=query.get("before") or None)
    except ValueError:
        raise Refusal(400, "before: it is not the `next` of a page") from None
    counts = state.hub.counts()
    return json_answer(
        {
            "jobs": [_row(state, entry) for entry in page.entries],
            "next": page.next,
            "matching": page.matching,
            "live": counts["live"],
            "ended": counts["ended"],
            "left_out": counts["left_out"],
            "phases": counts["phases"],
        }
    )


async def job(request: Request) -> Response:
    """One request with everything that is known of it."""
    state = state_of(request)
    entry = known(state, request.path_params["id"])
    raw = None if entry.end is None else entry.end.raw
    if entry.end is None or (raw is not None and len(raw) <= _LARGE_BYTES):
        return json_answer(detail_of(entry, process_of(state, entry), await _completion(state, entry)))
    await _turn(state.large)
    try:
        completion = await _completion(state, entry)
        return LargeAnswer(detail_of(entry, process_of(state, entry), completion), state.large.release)
    except BaseException:
        state.large.release()
        raise


async def _turn(of: asyncio.Semaphore) -> None:
    """Wait until it is the caller's turn, but not long. Raises `Refusal`."""
    try:
        async with asyncio.timeout(_WAIT_SECONDS):
            await of.acquire()
    except TimeoutError:
        sentence = "many others read large or old records at the moment; try again later"
        raise Refusal(503, sentence, retry_seconds=_RETRY_SECONDS) from None


@asynccontextmanager
async def _taking_turns(of: asyncio.Semaphore) -> AsyncIterator[None]:
    await _turn(of)
    try:
        async with asyncio.timeout(_READ_SECONDS):  # while a broker is away a reader waits for it without end
            yield
    finally:
        of.release()


async def _completion(state: ConsoleState, entry: Entry) -> dict[str, Any] | None:
    """The completion, from memory or from the topic. When neither has it, what is left of it."""
    end = entry.end
    raw = None if end is None else end.raw
    if end is not None and raw is None:
        try:
            async with _taking_turns(state.looking_up):
                raw = await read_completion(state.settings, entry.partition, end.offset)
        except (RetryLater, CommandError, KafkaError, OSError, TimeoutError):
            raw = None  # the page says that it was let go of, and /health/ready that there is no broker
    if raw is None:
        return completion_of(entry)
    if len(raw) > _LARGE_BYTES:
        return await asyncio.to_thread(shown_completion, raw)
    return shown_completion(raw)


def known(state: ConsoleState, request_id: str) -> Entry:
    """The request of this id. Raises `Refusal`."""
    entry = state.hub.board.find(request_id)
    if entry is None:
        kept = state.settings.console.ended_requests
        raise Refusal(
            404, f"no request of this id is live or among the last {kept} that ended (REELWIRE_CONSOLE__ENDED_REQUESTS)"
        )
    return entry


def process_of(state: ConsoleState, entry: Entry) -> str | None:
    """Which process serves its partition."""
    return state.surroundings.process_of(entry.partition)


async def dead_letters(request: Request) -> Response:
    """A page of the list of dead letters."""
    state, query = state_of(request), request.query_params
    try:
        page = state.letters.page(
            code=query.get("code") or None,
            state=_one_of(query.get("state"), _LETTER_STATES, "state"),
            limit=_limit(query.get("limit")),
            before=query.get("before") or None,
        )
    except ValueError:
        raise Refusal(400, "before: it is not the `next` of a page") from None
    return json_answer(page)


async def dead_letter(request: Request) -> Response:
    """Read from the topic: what a letter holds is not kept."""
    state = state_of(request)
    letter = await letter_of(request)
    partition, offset = letter.partition, letter.offset
    listed = state.letters.time_of(partition, offset)
    return json_answer(whole_letter(letter, listed, state.letters.state_of(partition, offset)))


async def letter_of(request: Request) -> DeadLetter:
    """The dead letter in the address, read from the topic. Raises `Refusal`."""
    state, (partition, offset) = state_of(request), _place_of(request)
    try:
        async with _taking_turns(state.looking_up):
            letter = await one(state.settings, partition, offset)
    except CommandError as error:
        raise Refusal(502 if error.code == Exit.UNREACHABLE else 404, str(error)) from None
    except RetryLater as error:
        raise Refusal(503, str(error)) from None
    except (KafkaError, OSError, TimeoutError) as error:
        raise Refusal(502, reading_words(error)) from None
    if letter.is_note:
        raise Refusal(404, f"there is no dead letter at {partition}:{offset}, but a note that one was discarded")
    return letter


def _place_of(request: Request) -> tuple[int, int]:
    """Partition and offset in the address. Raises `Refusal`."""
    given = [request.path_params[name] for name in ("partition", "offset")]
    if not all(one.isascii() and one.isdigit() and len(one) <= _PLACE_DIGITS for one in given):
        raise Refusal(404, "a dead letter is named by its partition and its offset, which are whole numbers")
    return int(given[0]), int(given[1])


async def cost(request: Request) -> Response:
    """What ended requests have cost, by day and tenant."""
    state = state_of(request)
    days = _number(request.query_params.get("days"), "days")
    days = 14 if days is None else min(max(days, 1), _MOST_DAYS)
    settings = state.settings.cost
    return json_answer(
        {
            "currency": settings.currency,
            "days": state.hub.board.spending.last(days, int(time.time() * 1000)),
            "limit": settings.daily_limit,
        }
    )


async def partitions(request: Request) -> Response:
    """Who serves which partition, and how far behind."""
    state = state_of(request)
    seen, kafka = state.surroundings.seen, state.settings.kafka
    held: dict[int, list[int]] = {}
    for entry in state.hub.board.live.values():
        held.setdefault(entry.partition, []).append(entry.accepted_ms)
    shown: list[dict[str, Any]] = []
    for partition in sorted({*seen.lag, *held}):
        accepted, owner = held.get(partition, []), seen.owners.get(partition)
        shown.append(
            {
                "partition": partition,
                "owner": owner,
                "lag": seen.lag.get(partition),
                "held": len(accepted),
                "oldest_ms": min(accepted, default=None),
                "state": "unserved" if owner is None else "served",
            }
        )
    members = [member.as_json() for member in seen.members]
    body = {"group": kafka.group_id, "members": members, "partitions": shown, "problem": seen.problem}
    return json_answer(clean_members(body))


async def live(request: Request) -> Response:
    """Whether the process is worth keeping."""
    verdict = state_of(request).health.live()
    return json_answer(clean_members(verdict.body), 200 if verdict.ok else 503)


async def ready(request: Request) -> Response:
    """Whether the topics can be read, and have been."""
    verdict = state_of(request).health.ready()
    return json_answer(clean_members(verdict.body), 200 if verdict.ok else 503)


def _row(state: ConsoleState, entry: Entry) -> dict[str, Any]:
    return row_of(entry, process_of(state, entry))


def _one_of(given: str | None, allowed: tuple[str, ...], name: str) -> str | None:
    if given and given not in allowed:
        raise Refusal(400, f"{name}: must be one of {', '.join(allowed)}")
    return given or None


def _number(given: str | None, name: str) -> int | None:
    if not given:
        return None
    if not (given.isascii() and given.isdigit() and len(given) <= 16):
        raise Refusal(400, f"{name}: must be a whole number")
    return int(given)


def _limit(given: str | None) -> int:
    found = _number(given, "limit")
    return 100 if found is None else min(max(found, 1), MOST_ROWS)
