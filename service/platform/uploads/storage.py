"""Puts chunks to the platform's storage: presigned URLs of other hosts, without our key, with limits of their own.

A URL is a secret while it lives. No error and no log line of this module holds one, nor the storage's words: storages
repeat the request's signature in them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

import aiohttp
from yarl import URL

from contracts.events import PlatformAnswer
from service.clock import Clock
from service.errors import ReelwireError
from service.platform.answers import wait_seconds
from service.platform.errors import NotSent, OutcomeUnknown, PlatformError, ServerFailed, SourceChanged, UrlRefused
from service.platform.http.headway import Headway
from service.platform.http.transport import FOREIGN_ERRORS, KEEPALIVE_SECONDS, proxy_for, unanswered
from service.platform.uploads.values import ChunkUrl
from service.settings import PlatformSettings
from service.telemetry.metrics import Metrics

PIECE_BYTES = 512 * 1024
"""How much of a chunk is in memory at a time, whatever the size of the chunk."""
_LONGEST_ETAG = 256

ReadRange = Callable[[int, int], Awaitable[bytes]]
"""(offset, length) of the file to its bytes; fewer only at its end."""


class ChunkBody:
    """A chunk as the body of one PUT, read piece by piece while it is sent. Needs no closing."""

    def __init__(self, read: ReadRange, start: int, size: int, sent: Callable[[int], None]) -> None:
        """`sent` is given the bytes of this chunk that were handed to the connection; keep it cheap."""
        self.size = size
        self.failure: ReelwireError | None = None
        """Why the body could not be made. The HTTP library raises an error of its own instead."""
        self.headway: Headway | None = None
        self._read = read
        self._start = start
        self._sent = sent
        self._done = 0

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        try:
            if self._done:
                self._sent(self._done)
            if self._done >= self.size:
                raise StopAsyncIteration
            if self.headway is not None:
                self.headway.asked()
            wanted = min(PIECE_BYTES, self.size - self._done)
            data = await self._read(self._start + self._done, wanted)
            if len(data) != wanted:
                raise SourceChanged("the video shrank while it was sent")
            self._done += wanted
        except ReelwireError as error:
            self.failure = error
            raise
        finally:
            if self.headway is not None:
                self.headway.given()
        return data


class ChunkStorage:
    """One per process. At most `platform.max_chunks` PUTs are under way at a time."""

    def __init__(self, settings: PlatformSettings, metrics: Metrics, clock: Clock, may_pay: Callable[[], bool]) -> None:
        self._settings = settings
        self._metrics = metrics
        self._clock = clock
        self._may_pay = may_pay
        self._limit = asyncio.Semaphore(settings.max_chunks)
        self._session: aiohttp.ClientSession | None = None

    async def aclose(self) -> None:
        """Close every connection. PUTs under way fail."""
        if self._session is not None:
            await self._session.close()

    async def put(self, url: ChunkUrl, body: ChunkBody, headers: Mapping[str, str]) -> str:
        """Send one chunk, once; its ETag without quotes.

        Raises what the body raises; `UrlRefused` when the storage does not take this URL (any more); `NotSent`,
        `OutcomeUnknown` or `ServerFailed` otherwise. Only after `NotSent` the URL may be used again.
        """
        async with self._limit:
            if not self._may_pay():
                raise NotSent("nothing may be sent: this process may be taken for dead, or is losing a partition")
            body.headway = headway = Headway(self._settings.read_timeout_seconds, self._settings.upload_timeout_seconds)
            began = self._clock.monotonic()
            status = "no_answer"
            try:
                async with headway.timer, self._request(url, body, headers) as response:
                    status = str(response.status)
                    return self._etag(response)
            except TimeoutError:
                raise OutcomeUnknown("the storage stopped taking a chunk, or it took too long") from None
            except FOREIGN_ERRORS as error:
                if body.failure is not None:
                    raise body.failure from None
                failure = _worded(unanswered(error))
                status = "no_answer" if failure.may_have_happened else "not_sent"
                raise failure from None
            finally:
                body.headway = None  # whoever writes it may still be at a piece
                self._metrics.platform_calls.labels("put_chunk", status).inc()
                self._metrics.platform_seconds.labels("put_chunk").observe(self._clock.monotonic() - began)

    def _request(
        self, url: ChunkUrl, body: ChunkBody, headers: Mapping[str, str]
    ) -> aiohttp.client._RequestContextManager:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEPALIVE_SECONDS),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=self._settings.connect_timeout_seconds),
                headers={"user-agent": "reelwire"},
            )
        return self._session.put(
            URL(url.url, encoded=True),  # as it was signed
            data=body,
            headers={**headers, "Content-Length": str(body.size)},
            allow_redirects=False,
            proxy=proxy_for(url.url),
        )

    def _etag(self, response: aiohttp.ClientResponse) -> str:
        etag = response.headers.get("ETag", "").strip().removeprefix("W/").strip('"')
        if response.ok and response.status < 300:
            if not etag or len(etag) > _LONGEST_ETAG or not etag.isprintable():
                raise OutcomeUnknown("the storage took a chunk and gave no ETag for it")
            return etag
        words = f"the platform's storage answered {response.status}"
        answer = PlatformAnswer(status=response.status, code=None, message=None)
        if response.status in (408, 425, 429) or response.status >= 500:
            wait = wait_seconds(response.headers, self._clock.time())
            raise ServerFailed(words, answer=answer, retry_after_seconds=wait)
        raise UrlRefused(words, answer=answer)


def _worded(error: PlatformError) -> PlatformError:
    """The storage is not the platform: its address is another one, and not a setting."""
    words = str(error).replace("the platform ", "the platform's storage ", 1)
    return NotSent(words) if isinstance(error, NotSent) else OutcomeUnknown(words)
