"""A consumer of aiokafka whose records are decoded by us.

aiokafka decodes header names as UTF-8, decompresses without a limit, and at the first batch that it can't read it ends
its fetcher or fetches the same bytes for ever. `decode_with` lets it fetch and keep its books as before, but takes the
bytes out of each response before it sees them. This leans on the inside of aiokafka 0.14;
`tests/kafka/test_aiokafka_internals.py` holds what it leans on.
"""

from __future__ import annotations

import asyncio
import weakref
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Any, ClassVar, Self

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.consumer.fetcher import FetchResult
from aiokafka.protocol.fetch import FetchRequest

from contracts.limits import MAX_READ_HEADERS
from service.kafka.reading.batches import Fetch, Piece, Prepared, is_compressed, prepare, read
from service.kafka.reading.damage import DamageSearch
from service.kafka.reading.fetched import Fetched, next_offset
from service.kafka.reading.response import Part, take_bytes
from service.kafka.reading.turn import Turn
from service.telemetry.events import LogEvent

log = structlog.get_logger()

BUDGET_BYTES = 8 * 1024 * 1024
"""Decompressed bytes that one fetch keeps for its reader. What is beyond is fetched again later."""

HELD_BYTES = 8 * 1024 * 1024
"""Decompressed bytes that all consumers of the process hold unread. With that many, a consumer that holds any fetches
no more. One that holds none still gets one fetch, so that no reader waits for what another has left unread."""

STANDS_SECONDS = 5.0
"""A position that has records behind it and gets none for that long is looked at for damage."""

_AFTER_FAULT_SECONDS = 1.0
_ASK_MS = 10_000
# Threads of our own: those of the loop may all be waiting for a file system that does not answer.
_THREADS = ThreadPoolExecutor(max_workers=2, thread_name_prefix="decode")
_INLINE_BYTES = 64 * 1024  # more than that, or anything compressed, is prepared in a thread
_ROOM_SECONDS = 0.02
_OUR_HEADERS = 16  # that a dead letter may have in addition to those of its record


def decode_with(
    consumer: AIOKafkaConsumer, *, max_batch_bytes: int, max_headers: int = MAX_READ_HEADERS + _OUR_HEADERS
) -> None:
    """Make a started consumer give `Fetched` records. Called before it is assigned anything.

    `getmany` then gives an `InRecord` for each record, and an `UnreadableRange` for what can't be read, in the order of
    their offsets. A batch that holds more than `max_batch_bytes` when it is decompressed is such a range, and so is a
    record of more than `max_headers` headers. It gives fewer records than asked for when these are expensive, and lets
    other tasks run before each answer.
    """
    _Decoding(consumer._fetcher, max_batch_bytes, max_headers)


class _Client:
    """The client of a fetcher, with the bytes of each response to a fetch kept for us."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._parts: dict[int, list[Part]] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    async def send(self, node_id: Any, request: Any) -> Any:
        response = await self._client.send(node_id, request)
        if isinstance(request, FetchRequest):
            self._parts[id(request)] = take_bytes(request, response)
        return response

    def parts_of(self, request: Any) -> list[Part]:
        return self._parts.pop(id(request), [])


class _Decoding:
    """Stands in for two methods of one fetcher."""

    _all: ClassVar[weakref.WeakSet[_Decoding]] = weakref.WeakSet()

    def __init__(self, fetcher: Any, max_batch_bytes: int, max_headers: int) -> None:
        self._fetcher = fetcher
        self._max_batch_bytes = max_batch_bytes
        self._max_headers = max_headers
        self._turn = Turn()
        self._one_at_a_time = asyncio.Lock()
        self._all.add(self)
        self._committed_only = bool(fetcher._isolation_level)
        self._search = DamageSearch(fetcher._client, max_batch_bytes=max_batch_bytes)
        self._standing: dict[TopicPartition, tuple[int, float]] = {}
        self._client = fetcher._client = _Client(fetcher._client)
        self._process = fetcher._proc_fetch_request
        fetcher._proc_fetch_request = self._fetch
        self._records = fetcher.fetched_records
        fetcher.fetched_records = self._read

    async def _read(self, *args: Any, **options: Any) -> Any:
        """Aiokafka's own does not wait while there are records, so a caller's loop would let nobody else run."""
        await asyncio.sleep(0)
        return await self._records(*args, **options)

    async def _fetch(self, assignment: Any, node_id: int, request: Any) -> bool:
        """One fetch; True when there is something new to read. A cancellation ends it as if nothing had come."""
        try:
            news: bool = await self._process(assignment, node_id, request)
            budget = BUDGET_BYTES
            for part in self._client.parts_of(request):
                where = TopicPartition(part.topic, part.partition)
                if not self._wanted(assignment, where, part.offset):
                    continue
                if part.data and budget <= 0:
                    continue  # its position has not moved, so it is fetched again
                prepared = await self._prepared(part, where, budget)
                if prepared.pieces and self._wanted(assignment, where, part.offset):
                    budget -= prepared.bytes
                    self._hand_over(assignment, where, part.offset, prepared.pieces)
                    news = True
        except asyncio.CancelledError:
            return False
        except Exception as error:
            # Raised here, it would end aiokafka's fetcher silently. The same is fetched again.
            log.error(LogEvent.DECODING_FAILED, exc_info=error)
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(_AFTER_FAULT_SECONDS)
            return False
        return news

    def _wanted(self, assignment: Any, where: TopicPartition, offset: int) -> bool:
        """Whether the partition is still read from that position. It may have been sought or given away meanwhile."""
        if not assignment.active or where in self._fetcher._records:
            return False
        state = assignment.state_value(where)
        return bool(state.has_valid_position and state.position == offset)

    def _hand_over(self, assignment: Any, where: TopicPartition, offset: int, pieces: Sequence[Piece]) -> None:
        fetcher = self._fetcher
        result = FetchResult(
            where,
            assignment=assignment,
            partition_records=_Records(offset, pieces),
            backoff=fetcher._prefetch_backoff,
        )
        result.getall = partial(self._turn.read, result)
        fetcher._records[where] = result

    async def _room(self) -> None:
        """Return when there is room for another fetch. Readers make it; they know nothing of us, so we look."""
        while self.held_bytes() and sum(each.held_bytes() for each in self._all) >= HELD_BYTES:
            await asyncio.sleep(_ROOM_SECONDS)

    def held_bytes(self) -> int:
        """Of what was handed over and not read. aiokafka forgets what nobody wants any more."""
        if self._fetcher._closed:
            return 0
        held = (getattr(result, "_partition_records", None) for result in self._fetcher._records.values())
        return sum(records.held_bytes for records in held if isinstance(records, _Records))

    async def _prepared(self, part: Part, where: TopicPartition, budget: int) -> Prepared:
        aborted = (part.aborted or ()) if self._committed_only else None
        fetch = Fetch(part.topic, part.partition, part.offset, part.end, part.data, aborted, self._max_headers)
        # Only one: what is handed over counts as held, what is in the making does not.
        async with self._one_at_a_time:
            await self._room()
            if len(part.data) <= _INLINE_BYTES and not is_compressed(part.data):
                prepared = self._prepare(fetch, budget)
            else:
                prepared = await asyncio.get_running_loop().run_in_executor(_THREADS, self._prepare, fetch, budget)
        if prepared.pieces:
            self._standing.pop(where, None)
        elif await self._stands(part, where, at_once=prepared.damaged_at is not None):
            self._standing.pop(where, None)
            prepared.pieces.extend(await self._search.pieces(fetch, end=await self._end(part, where)))
        return prepared

    def _prepare(self, fetch: Fetch, budget: int) -> Prepared:
        return prepare(fetch, budget_bytes=budget, max_batch_bytes=self._max_batch_bytes)

    async def _stands(self, part: Part, where: TopicPartition, *, at_once: bool) -> bool:
        """Whether nothing has come from this position for long, though the log goes on behind it."""
        if not part.may_be_damage or (part.stable_end >= 0 and part.offset >= part.stable_end):
            self._standing.pop(where, None)
            return False
        now = asyncio.get_running_loop().time()
        offset, since = self._standing.setdefault(where, (part.offset, now))
        if offset != part.offset:
            self._standing[where] = (part.offset, now)
            return False
        if not at_once and now - since < STANDS_SECONDS:
            return False
        return part.offset < await self._end(part, where)

    async def _end(self, part: Part, where: TopicPartition) -> int:
        """Where the log ends for this reader. An answer that is an error does not say it."""
        if part.stable_end >= 0:
            return part.stable_end
        ends: dict[TopicPartition, int] = await self._fetcher.end_offsets([where], _ASK_MS)
        return ends[where]


class _Records:
    """The records of one fetch, read as they are asked for; takes the place of aiokafka's `PartitionRecords`."""

    def __init__(self, offset: int, pieces: Sequence[Piece]) -> None:
        self.next_fetch_offset = offset
        self.held_bytes = sum(piece.bytes for piece in pieces)
        self._iterator = self._read(deque(pieces))

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Fetched:
        return next(self._iterator)

    def _read(self, pieces: deque[Piece]) -> Iterator[Fetched]:
        while pieces:
            piece = pieces.popleft()  # its bytes are let go of when it has been read
            for fetched in read(piece):
                self.next_fetch_offset = next_offset(fetched)
                yield fetched
            self.next_fetch_offset = max(self.next_fetch_offset, piece.next_offset)
            self.held_bytes -= piece.bytes
