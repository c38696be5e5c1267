"""`/analyze`: one response, or a stream of events."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import httpx

from service.platform.call import AnalysisCall
from service.platform.errors import OutcomeUnknown, StreamBroken
from service.platform.http.bodies import encoding_of, pieces
from service.platform.http.exchange import Call, Exchange, json_call
from service.platform.http.ndjson import EventReader
from service.platform.http.transport import FOREIGN_ERRORS, READER
from service.platform.task_reading import analysis_of
from service.platform.values import Analysis, StreamEvent


class AnalysisCalls(Exchange):
    """Billable, without an idempotency key, never repeated here."""

    async def analyze(self, call: AnalysisCall) -> Analysis:
        """Analyse in one response, which may take minutes."""
        request = self._analyze_call("analyze", call, stream=False, read_seconds=self._settings.sync_timeout_seconds)
        async with self._exchange(self._analyses, request) as response:
            body = await self._object(response, request.max_bytes)
        analysis = analysis_of(body, self._reader.warning(body), self._reader)
        if analysis is None:
            raise OutcomeUnknown("the platform's answer holds no text")
        return analysis

    @asynccontextmanager
    async def stream(self, call: AnalysisCall) -> AsyncIterator[AsyncIterator[list[StreamEvent]]]:
        """Analyse as a stream: one list of events per network read, the last list ending with `StreamEnded`.

        Entering raises what any call does; iterating raises `StreamBroken` and nothing else. Leaving before the
        end closes the connection. One task enters, iterates and leaves.
        """
        request = self._analyze_call("stream", call, stream=True, read_seconds=self._settings.stream_idle_seconds)
        reader = EventReader(self._settings.max_line_bytes, self._reader, self._metrics.stream_events_unknown.inc)
        async with self._exchange(self._analyses, request) as response:
            yield _Events(response, reader)

    def _analyze_call(self, operation: str, call: AnalysisCall, *, stream: bool, read_seconds: float) -> Call:
        return Call(
            operation=operation,
            method="POST",
            path="analyze",
            category="analyze",
            read_seconds=read_seconds,
            headers={"content-type": "application/json"},
            content=json_call(call.sync_body(stream=stream)),
        )


class _Events:
    """Iterates over the network reads of one stream."""

    __slots__ = ("_read", "reader")

    def __init__(self, response: httpx.Response, reader: EventReader) -> None:
        self._read = _reads(response)
        self.reader = reader

    def __aiter__(self) -> AsyncIterator[list[StreamEvent]]:
        return self

    async def __anext__(self) -> list[StreamEvent]:
        reader = self.reader
        while not reader.ended:
            try:
                data = await self._read()
            except OutcomeUnknown as error:
                raise StreamBroken(str(error), reason="unreadable", started=reader.started) from None
            except FOREIGN_ERRORS as error:
                idle = isinstance(error, httpx.TimeoutException | TimeoutError)
                raise StreamBroken(reason="idle" if idle else "cut", started=reader.started) from None
            events = reader.feed(data) if data else reader.finish()
            if events:
                return events
        raise StopAsyncIteration


def _reads(response: httpx.Response) -> Callable[[], Awaitable[bytes]]:
    """A call that returns the bytes of the next network read, empty at the end."""
    content = response.extensions.get(READER)
    if content is not None and not encoding_of(response):
        read_any: Callable[[], Awaitable[bytes]] = content.readany
        return read_any
    decoded = pieces(response)

    async def read() -> bytes:
        return await anext(decoded, b"")

    return read
