"""`/analyze`: one response, or a stream of events."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import httpx

from service.platform.call import AnalysisCall
from service.platform.errors import OutcomeUnknown, StreamBroken
from service.platform.exchange import Call, Exchange, json_call
from service.platform.ndjson import EventReader
from service.platform.reading import analysis_of, error_of
from service.platform.transport import FOREIGN_ERRORS, READER
from service.platform.values import Analysis, StreamEvent


class AnalysisCalls(Exchange):
    """Billable, without an idempotency key, never repeated here."""

    async def analyze(self, call: AnalysisCall, *, deadline_seconds: float | None = None) -> Analysis:
        """Analyse in one response, which may take minutes."""
        request = self._analyze_call("analyze", call, stream=False, read_seconds=self._settings.sync_timeout_seconds)
        async with self._exchange(self._analyses, request, deadline_seconds) as response:
            body = await self._object(response)
        analysis = analysis_of(body, warning=error_of(body))
        if analysis is None:
            raise OutcomeUnknown("the platform's answer holds no text")
        return analysis

    @asynccontextmanager
    async def stream(
        self, call: AnalysisCall, *, deadline_seconds: float | None = None
    ) -> AsyncIterator[AsyncIterator[list[StreamEvent]]]:
        """Analyse as a stream: one list of events per network read, the last list ending with `StreamEnded`.

        Entering raises what any call does; iterating raises `StreamBroken` and nothing else. Leaving before the
        end closes the connection. One task enters, iterates and leaves.
        """
        request = self._analyze_call("stream", call, stream=True, read_seconds=self._settings.stream_idle_seconds)
        reader = EventReader(self._settings.max_line_bytes, self._metrics.stream_events_unknown.inc)

        def late() -> StreamBroken:
            return StreamBroken(reason="deadline", started=reader.started)

        async with self._exchange(self._analyses, request, deadline_seconds, late) as response:
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
            except FOREIGN_ERRORS as error:
                idle = isinstance(error, httpx.TimeoutException | TimeoutError)
                raise StreamBroken(reason="idle" if idle else "cut", started=reader.started) from None
            events = reader.feed(data) if data else reader.finish()
            if events:
                return events
        raise StopAsyncIteration


def _reads(response: httpx.Response) -> Callable[[], Awaitable[bytes]]:
    """A call that returns the bytes of the next network read, empty at the end.

    We ask for identity; a server that compresses regardless is read through httpx's decoders.
    """
    content = response.extensions.get(READER)
    if content is not None and response.headers.get("content-encoding", "identity") == "identity":
        return content.readany  # type: ignore[no-any-return]
    chunks = response.aiter_bytes()

    async def read() -> bytes:
        return await anext(chunks, b"")

    return read
