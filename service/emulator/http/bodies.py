"""Reads bodies of requests: in pieces, in bounded time, and with one answer for whatever is wrong with them."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import aiohttp
import orjson
from aiohttp import http_exceptions, web

from service.emulator.refusals import Refusal, invalid

T = TypeVar("T")
_SLOWEST_BYTES_PER_SECOND = 10_000
_UNREADABLE = (
    ValueError,
    LookupError,
    RuntimeError,
    AssertionError,  # aiohttp asserts while it reads forms
    zlib.error,
    aiohttp.ClientPayloadError,
    http_exceptions.HttpProcessingError,
    web.RequestPayloadError,
)


class BodyClock:
    """The time that a body may take: a fixed part, and a part for each byte that has come."""

    def __init__(self, silence_seconds: float) -> None:
        self._until = asyncio.get_running_loop().time() + silence_seconds

    def received(self, size: int) -> None:
        """Allow more time for what has come."""
        self._until += size / _SLOWEST_BYTES_PER_SECOND

    async def wait(self, reading: Awaitable[T]) -> T:
        """Wait for the next piece; raises `Refusal` (408) when the time is over."""
        try:
            async with asyncio.timeout_at(self._until):
                return await reading
        except TimeoutError:
            raise Refusal(408, "request_canceled_or_timed_out", "The request's body came too slowly.") from None


@contextmanager
def readable(what: str) -> Iterator[None]:
    """Turn what aiohttp raises for a malformed `what` into a `Refusal`."""
    try:
        yield
    except (Refusal, ConnectionError):
        raise
    except _UNREADABLE:
        raise invalid(f"The {what} can't be read.") from None


async def json_body(request: web.Request, silence_seconds: float, limit_bytes: int) -> tuple[Any, bytes]:
    """The decoded body and its bytes; raises `Refusal`."""
    clock = BodyClock(silence_seconds)
    data = bytearray()
    with readable("request body"):
        while chunk := await clock.wait(request.content.readany()):
            data += chunk
            clock.received(len(chunk))
            if len(data) > limit_bytes:
                raise invalid(f"The request body is larger than {limit_bytes} bytes.")
    whole = bytes(data)
    try:
        return orjson.loads(whole), whole
    except orjson.JSONDecodeError:
        raise invalid("The request body is not valid JSON.") from None


def plain_text(text: str) -> str:
    """A header's text without the lone surrogates that stand for bytes which are not UTF-8: JSON can't hold them."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
