"""The routes that write: a cancel, a dead letter sent again, a note that one was discarded. For who has signed in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiokafka.errors import KafkaError
from starlette.requests import Request
from starlette.responses import Response

from service.cli.exits import CommandError
from service.cli.reading.cluster import partition_counts, producer, send
from service.cli.reading.letter_acts import note_discarded, send_again
from service.cli.reading.letter_fates import fates_of
from service.cli.reading.request_search import find_open
from service.cli.request_body import checked
from service.console.http.access import allowed, body_of, state_of
from service.console.http.answers import Refusal, json_answer
from service.console.http.reading import letter_of
from service.console.state import ConsoleState
from service.errors import RetryLater
from service.telemetry.events import LogEvent
from service.telemetry.log import get_logger
from service.words import in_words

log = get_logger()

_MOST_REASON_CHARS = 500
_WAIT_SECONDS = 10.0
_ACT_SECONDS = 60.0


async def cancel(request: Request) -> Response:
    """Ask for the cancellation of a request, where it is. Its completion says what became of it."""
    allowed(request)
    state, request_id = state_of(request), request.path_params["id"]
    settings = state.settings
    async with _acting(state):
        places = await _places(state, request_id)
        value = checked({"type": "cancel", "request_id": request_id}, settings)
        async with producer(settings) as client:
            for partition, key in places:
                await send(
                    settings,
                    client,
                    settings.topics.requests,
                    key=request_id.encode() if key is None else key,
                    value=value,
                    headers=[("content-type", b"application/json")],
                    partition=partition,
                )
    _noted(request, "cancel", request_id)
    return json_answer({"message": f"asked to cancel {request_id}; its completion says how it ends"})


async def redrive(request: Request) -> Response:
    """Send the record of a dead letter to the requests topic again."""
    allowed(request)
    state = state_of(request)
    settings = state.settings
    async with _acting(state):
        letter = await letter_of(request)
        info = letter.info
        if info is None or not info.is_whole:
            raise Refusal(409, "the letter does not hold the whole record; read that at its original place")
        if not info.is_request:
            raise Refusal(409, f"it is a notification, no request; write it to {info.topic} again")
        fate = (await fates_of(settings, [letter])).of(letter)
        if fate == "forgotten":
            message = "it is so old that nobody knows whether it was sent again"
            raise Refusal(409, f"{message}; `reelwire dlq redrive --place {letter.place} --again` does it nevertheless")
        if fate != "open":
            raise Refusal(409, f"the letter was {fate} before")
        topic = settings.topics.requests
        count = (await partition_counts(settings, [topic]))[topic]
        async with producer(settings) as client:
            partition, offset = await send_again(settings, client, letter, info, count)
    _noted(request, "redrive", letter.place)
    return json_answer({"message": f"sent again; it is at {partition}:{offset} of {topic}"})


async def discard(request: Request) -> Response:
    """Note that a dead letter needs nothing more. `reason` in the body is written to the note."""
    allowed(request)
    state = state_of(request)
    reason = (await body_of(request)).get("reason")
    if reason is not None and not isinstance(reason, str):
        raise Refusal(400, "reason: must be a text")
    async with _acting(state):
        letter = await letter_of(request)
        if state.letters.state_of(letter.partition, letter.offset) == "discarded":
            raise Refusal(409, "the letter was discarded before")
        async with producer(state.settings) as client:
            await note_discarded(state.settings, client, letter, reason[:_MOST_REASON_CHARS] if reason else None)
    _noted(request, "discard", letter.place)
    return json_answer({"message": "discarded; it is no longer listed as open"})


@asynccontextmanager
async def _acting(state: ConsoleState) -> AsyncIterator[None]:
    """One act at a time: who presses twice must not send twice. What Kafka has against it becomes a `Refusal`."""
    try:
        async with asyncio.timeout(_WAIT_SECONDS):
            await state.acting.acquire()
    except TimeoutError:
        raise Refusal(503, "somebody else's act is under way; try again later", retry_seconds=5) from None
    try:
        try:
            async with asyncio.timeout(_ACT_SECONDS):  # a reader waits without end for a broker that is away
                yield
        except RetryLater as error:
            raise Refusal(503, str(error)) from None
        except TimeoutError:
            raise Refusal(502, "Kafka did not answer in time; look whether it was done before you try again") from None
        except (CommandError, KafkaError, OSError) as error:
            raise Refusal(502, in_words(error)) from None
    finally:
        state.acting.release()


async def _places(state: ConsoleState, request_id: str) -> list[tuple[int, bytes | None]]:
    """Partition and key of the request, wherever it has not ended. Raises `Refusal`."""
    entry = state.hub.board.find(request_id)
    if entry is not None and entry.end is not None:
        raise Refusal(409, f"{request_id} has ended already")
    found = [(one.partition, one.key) for one in await find_open(state.settings, request_id)]
    if not found:
        raise Refusal(404, f"no request {request_id} is live or waits to be accepted")
    return found


def _noted(request: Request, act: str, of: str) -> None:
    address = request.client.host if request.client else None
    log.info(LogEvent.CONSOLE_ACTED, act=act, of=of, address=address)
