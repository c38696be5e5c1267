"""Submit requests and follow them, over whichever Kafka client: `Client(reader, sender)`."""

from __future__ import annotations

import asyncio
import json
import re
import uuid
from collections import OrderedDict, defaultdict, deque
from collections.abc import AsyncIterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from reelwire_client.assembler import Assembler
from reelwire_client.changes import (
    Change,
    Ended,
    Forgotten,
    Ignored,
    Progressed,
    Refused,
    Repeated,
    Restarted,
    Skipped,
    StreamId,
    TextAdded,
)
from reelwire_client.errors import AlreadyEnded, ReadingStopped, RequestRefused, StreamForgotten, TooManyStreams
from reelwire_client.events import AnalyzeRequest
from reelwire_client.partitioning import partition_of
from reelwire_client.ports import RecordReader, RequestSender
from reelwire_client.records import DeadLetter, Header, Place
from reelwire_client.stream import RequestStream

_REQUEST_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")
_RECENT_LETTERS = 1_000
_MOST_WAITING = 10_000


class Client:
    """`async with Client(reader, sender) as client: ...`

    Reads in a task of its own from `__aenter__` on. Without a sender it only follows. One per process is enough: each
    has all partitions, unless its reader is in a consumer group with others.
    """

    def __init__(
        self, reader: RecordReader, sender: RequestSender | None = None, *, assembler: Assembler | None = None
    ) -> None:
        self._reader, self._sender = reader, sender
        self._assembler = assembler or Assembler()
        self._followed: dict[str, list[RequestStream]] = defaultdict(list)
        self._letters: OrderedDict[Place, DeadLetter] = OrderedDict()
        self._listeners: list[_Listener] = []
        self._reading: asyncio.Task[None] | None = None
        self._stopped: ReadingStopped | None = None

    async def __aenter__(self) -> Self:
        await self._reader.start()
        try:
            if self._sender is not None:
                await self._sender.start()
        except BaseException:
            await self._reader.stop()
            raise
        self._reading = asyncio.create_task(self._read(), name="reelwire-client")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait([self._reading])
        self._stop(ReadingStopped("the client was closed"))
        await self._reader.stop()
        if self._sender is not None:
            await self._sender.stop()

    async def submit(
        self,
        request: AnalyzeRequest | Mapping[str, Any],
        *,
        key: str | bytes | None = None,
        headers: Sequence[Header] = (),
    ) -> RequestStream:
        """Send a request, and return when the brokers have it.

        Without a `request_id` it gets one. Requests with one `key` (a camera's id, say) stay in order in one partition;
        without a key it is the request id. Cancel with the same key. A known id starts nothing: its completion comes.
        """
        body = dict(request)
        name = body.setdefault("request_id", uuid.uuid4().hex)
        if not isinstance(name, str) or not _REQUEST_ID.fullmatch(name):
            raise ValueError("request_id must be 1 to 128 of A-Z a-z 0-9 . _ : - and begin with a letter or digit")
        run = body.get("run")
        if run is not None and (not isinstance(run, int) or isinstance(run, bool) or run < 1):
            raise ValueError("run must be a whole number from 1")
        sender, record_key = self._writing(), _key_bytes(name if key is None else key)
        partition = partition_of(record_key, await sender.partitions())
        # Followed before it is sent: its first events may be read before the brokers' answer.
        stream = self._follow(RequestStream(name, run or 1, partition))
        stream.begin_with(self._assembler.shown(StreamId(partition, name, run or 1)))
        try:
            stream.place = await sender.send(partition, record_key, _value(body), _headers(headers))
        except BaseException:
            self._release(stream)
            raise
        letter = self._letters.get(stream.place)
        if letter is not None:
            self._refuse(stream, letter)
        return stream

    async def cancel(self, request_id: str, *, key: str | bytes | None = None) -> Place:
        """Ask for the end of a request. `key` must be that of the request; its completion comes as ever."""
        sender, record_key = self._writing(), _key_bytes(request_id if key is None else key)
        partition = partition_of(record_key, await sender.partitions())
        value = _value({"type": "cancel", "request_id": request_id})
        return await sender.send(partition, record_key, value, _headers(()))

    def follow(self, request_id: str, *, run: int | None = None, partition: int | None = None) -> RequestStream:
        """Follow a request that somebody else has sent. Of several live runs the highest, unless `run` is given.

        Raises `AlreadyEnded` when its end has been read before; what was read by nobody here is not known.
        """
        self._open()
        stream = RequestStream(request_id, run, partition)
        live = [found for found in self._assembler.find(request_id) if stream.concerns(found)]
        if live:
            best = max(live, key=lambda found: found.run)
            stream.run, stream.partition = best.run, best.partition
            stream.begin_with(self._assembler.shown(best))
        elif self._assembler.has_ended(request_id, run):
            raise AlreadyEnded(f"{request_id} has ended; submit it again to have its completion once more")
        return self._follow(stream)

    def unfollow(self, stream: RequestStream) -> None:
        """Nobody wants this stream any longer: who still waits for it gets `StreamForgotten`. The request goes on."""
        self._release(stream)
        stream.fail(StreamForgotten(f"{stream.request_id} is not followed any longer"))

    async def streams(self) -> AsyncIterator[RequestStream]:
        """Every request from now on, as soon as something of it is read. Handle each in a task of its own.

        Raises `TooManyStreams` when 10,000 wait to be taken.
        """
        self._open()
        listener = _Listener()
        self._listeners.append(listener)
        try:
            while True:
                yield await listener.next()
        finally:
            self._listeners.remove(listener)

    async def _read(self) -> None:
        try:
            while True:
                batch = await self._reader.read()
                for partition in batch.dropped:
                    for change in self._assembler.drop_partition(partition):
                        self._tell(change)
                for record in batch.records:
                    for change in self._assembler.take(record):
                        self._tell(change)
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 (whatever a Kafka client raises: who waits must hear of it)
            stopped = ReadingStopped(f"the topics are not read any longer: {error}")
            stopped.__cause__ = error
            self._stop(stopped)

    def _tell(self, change: Change) -> None:
        match change:
            case Skipped() | Ignored():
                return
            case Refused(letter):
                self._keep(letter)
                return
        stream = change.stream
        ended = isinstance(change, Ended | Repeated)
        followers = [one for one in self._followed.get(stream.request_id, ()) if one.concerns(stream, end=ended)]
        if not isinstance(change, Repeated | Forgotten) and not _is_answer(change):
            followers += self._heard(stream, change)
        for follower in followers:
            follower.apply(change)
            if ended:
                self._release(follower)
        for listener in self._listeners:
            if ended:
                listener.known.pop(stream, None)
            elif isinstance(change, Forgotten) and stream in listener.known:
                gone = listener.known.pop(stream)
                gone.fail(StreamForgotten(f"{stream.request_id} is not followed any longer"))

    def _heard(self, stream: StreamId, change: Change) -> list[RequestStream]:
        found = []
        for listener in self._listeners:
            known = listener.known.get(stream)
            if known is None:
                known = listener.known[stream] = RequestStream(stream.request_id, stream.run, stream.partition)
                known.begin_with(self._before(stream, change))
                listener.put(known)
            found.append(known)
        return found

    def _before(self, stream: StreamId, change: Change) -> str:
        """The text of a stream before this change, for one that begins to listen in the middle of it."""
        shown = self._assembler.shown(stream)
        match change:
            case Restarted():
                return ""
            case TextAdded(text=added):
                return shown.removesuffix(added)
            case _:
                return shown

    def _keep(self, letter: DeadLetter) -> None:
        self._letters[letter.place] = letter
        while len(self._letters) > _RECENT_LETTERS:
            self._letters.popitem(last=False)
        for followers in list(self._followed.values()):
            for stream in list(followers):
                if stream.place == letter.place:
                    self._refuse(stream, letter)

    def _refuse(self, stream: RequestStream, letter: DeadLetter) -> None:
        stream.fail(RequestRefused(stream.request_id, letter))
        self._release(stream)

    def _follow(self, stream: RequestStream) -> RequestStream:
        self._followed[stream.request_id].append(stream)
        return stream

    def _release(self, stream: RequestStream) -> None:
        followers = self._followed.get(stream.request_id, [])
        if stream in followers:
            followers.remove(stream)
        if not followers:
            self._followed.pop(stream.request_id, None)

    def _stop(self, reason: ReadingStopped) -> None:
        self._stopped = self._stopped or reason
        followed = [stream for followers in self._followed.values() for stream in followers]
        for listener in self._listeners:
            followed += listener.known.values()
            listener.stop(self._stopped)
        for stream in followed:
            stream.fail(self._stopped)
        self._followed.clear()

    def _open(self) -> None:
        if self._stopped is not None:
            raise self._stopped
        if self._reading is None:
            raise RuntimeError("enter the client first: async with Client(...) as client")

    def _writing(self) -> RequestSender:
        self._open()
        if self._sender is None:
            raise RuntimeError("this client has no sender: Client(reader, sender)")
        return self._sender


class _Listener:
    """One iteration over all streams."""

    def __init__(self) -> None:
        self.known: dict[StreamId, RequestStream] = {}
        self._waiting: deque[RequestStream] = deque()
        self._error: Exception | None = None
        self._changed = asyncio.Event()

    def put(self, stream: RequestStream) -> None:
        if len(self._waiting) >= _MOST_WAITING:
            self._waiting.clear()
            self.stop(TooManyStreams(f"{_MOST_WAITING} streams wait to be taken from streams()"))
        elif self._error is None:
            self._waiting.append(stream)
            self._changed.set()

    def stop(self, error: Exception) -> None:
        self._error = self._error or error
        self._changed.set()

    async def next(self) -> RequestStream:
        while not self._waiting:
            if self._error is not None:
                raise self._error
            self._changed.clear()
            await self._changed.wait()
        return self._waiting.popleft()


def _is_answer(change: Change) -> bool:
    return isinstance(change, Progressed) and change.event["type"] in ("duplicate", "cancel_ignored")


def _key_bytes(key: str | bytes) -> bytes:
    return key.encode() if isinstance(key, str) else key


def _value(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def _headers(headers: Sequence[Header]) -> list[Header]:
    if any(name.lower() == "content-type" for name, _ in headers):
        return list(headers)
    return [("content-type", b"application/json"), *headers]
