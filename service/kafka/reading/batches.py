"""From the bytes of a fetch to batches that can be read, and to ranges that can't.

Pure: no I/O, no clock. Nothing here raises for what it is given; a fault of the bytes becomes an `UnreadableRange`.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

from contracts.limits import MAX_READ_HEADERS
from service.kafka.reading.errors import BatchBroken, BatchTooLarge
from service.kafka.reading.fetched import Fetched, UnreadableRange, next_offset
from service.kafka.reading.message_set import messages
from service.kafka.reading.record_batch import BatchHeader, check, records

_FRAME = struct.Struct(">qi")
_MAGIC_AT = 16
_SEEN_BYTES = 17  # as much of a batch as tells its offset, length and format
_NO_PRODUCER = -1
_OLD_ATTRIBUTES_AT, _ATTRIBUTES_AT = 17, 22  # the byte that holds the codec
_CODEC = 0x07
# Offset below 2^40, length below 2^24, format 2, attributes below 256: cheap to look for, confirmed by the checksum.
_LOOKS_LIKE_A_BATCH = re.compile(rb"(?=\0{3}.{5}\0.{3}.{4}\x02.{4}\0)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Fetch:
    """One partition's part of a fetch response: `data` is what the log holds from `offset` on, `end` where it ends.

    `aborted` is the producer id and first offset of each aborted transaction; None when uncommitted records are wanted.
    """

    topic: str
    partition: int
    offset: int
    end: int
    data: bytes
    aborted: Sequence[tuple[int, int]] | None = None
    max_headers: int = MAX_READ_HEADERS


@dataclass(frozen=True, slots=True)
class Frame:
    """One batch in the bytes of a fetch, by what its first bytes claim."""

    base_offset: int
    magic: int
    data: memoryview


@dataclass(frozen=True, slots=True)
class Piece:
    """A batch made ready: `read` gives its records from offset `start` on; behind it is `next_offset`.

    `bytes` is what it keeps in memory until it is read.

    `rest` is the range from an offset to the batch's end, for when `read` could not go on there.
    """

    start: int
    next_offset: int
    read: Callable[[], Iterator[Fetched]]
    rest: Callable[[int, BatchBroken], UnreadableRange]
    bytes: int = 0


@dataclass(slots=True)
class Prepared:
    """Batches that are ready to be read, and `bytes` that their records take.

    `damaged_at` is set when nothing can be read from that offset on, though there are bytes.
    """

    pieces: list[Piece] = field(default_factory=list)
    bytes: int = 0
    damaged_at: int | None = None

    def add(self, piece: Piece) -> None:
        self.pieces.append(piece)
        self.bytes += piece.bytes


def prepare(fetch: Fetch, *, budget_bytes: int, max_batch_bytes: int) -> Prepared:
    """Check and decompress batches until they hold `budget_bytes`, but at least one.

    Runs in a thread for large fetches. Batches of aborted transactions and control batches are left out, as
    `read_committed` asks. Behind a damaged batch it goes on with the next one whose checksum is right.
    """
    prepared = Prepared()
    aborted = _Aborted(fetch.aborted)
    view = memoryview(fetch.data).toreadonly()
    at, start = 0, fetch.offset
    while at < len(view) and not (prepared.pieces and prepared.bytes >= budget_bytes):
        frame = frame_at(view, at)
        if frame is None and at:
            break  # a fetch may end within a batch; that one is fetched again, and then comes whole
        try:
            if frame is None:
                raise BatchBroken("the length of the batch makes no sense: the batch was damaged")
            piece = _ready(fetch, frame, start, aborted, max_batch_bytes)
        except (BatchBroken, BatchTooLarge) as error:
            last = None if frame is None else _last_offset(fetch, frame, start)
            found = None if frame is None or last is None else (at + len(frame.data), last + 1)
            found = found or next_sound(fetch.data, at + 1, start, fetch.end)
            if found is None:
                prepared.damaged_at = start
                break
            behind, base = found
            if frame is not None and frame.magic >= 2 and frame.base_offset < base:
                start = max(start, frame.base_offset)
            if base > start:
                gap = _range(fetch, start, base - 1, error, bytes(view[at:behind]))
                prepared.add(gap_piece(gap))
            at, start = behind, max(start, base)
        else:
            prepared.add(piece)
            at += len(frame.data)
            start = piece.next_offset
    return prepared


def is_compressed(data: bytes) -> bool:
    """Whether any batch of a fetch claims a codec: a few hundred bytes may then become megabytes."""
    view = memoryview(data)
    at = 0
    while (frame := frame_at(view, at)) is not None:
        attributes_at = _ATTRIBUTES_AT if frame.magic >= 2 else _OLD_ATTRIBUTES_AT
        if len(frame.data) > attributes_at and frame.data[attributes_at] & _CODEC:
            return True
        at += len(frame.data)
    return False


def frame_at(view: memoryview, at: int) -> Frame | None:
    """The batch that begins there; None if it is not whole, or its length makes no sense."""
    if at + _SEEN_BYTES > len(view):
        return None
    base, length = _FRAME.unpack_from(view, at)
    size = _FRAME.size + length
    if size < _SEEN_BYTES or at + size > len(view):
        return None
    return Frame(base, view[at + _MAGIC_AT], view[at : at + size])


def next_sound(data: bytes, at: int, start: int, end: int) -> tuple[int, int] | None:
    """Position and first offset of the next batch whose checksum is right, and which ends behind offset `start`.

    Only for format 2; the first offset may be below `start`.
    """
    view = memoryview(data)
    for match in _LOOKS_LIKE_A_BATCH.finditer(data, at):
        frame = frame_at(view, match.start())
        if frame is None:
            continue
        try:
            header = BatchHeader.read(frame.data)
            check(frame.data, header)
        except BatchBroken:
            continue
        if start <= header.last_offset < end:
            return match.start(), header.base_offset
    return None


def gap_piece(gap: UnreadableRange) -> Piece:
    """A range as something to read: it is handed on in the order of the records."""
    return Piece(
        gap.offset,
        gap.last_offset + 1,
        lambda: iter((gap,)),
        lambda offset, _: replace(gap, offset=offset),
        len(gap.raw or b""),
    )


def read(piece: Piece) -> Iterator[Fetched]:
    """The records of a piece. Never raises for what a batch holds."""
    behind = piece.start
    try:
        for found in piece.read():
            if found.offset >= behind:
                behind = next_offset(found)
                yield found
    except BatchBroken as error:
        if behind < piece.next_offset:
            yield piece.rest(behind, error)


def _ready(fetch: Fetch, frame: Frame, start: int, aborted: _Aborted, max_bytes: int) -> Piece:
    """The batch as a piece. Raises `BatchBroken` or `BatchTooLarge`."""

    def piece(last: int, read: Callable[[], Iterator[Fetched]], size: int) -> Piece:
        def rest(offset: int, why: BatchBroken) -> UnreadableRange:
            return _range(fetch, offset, last, why, bytes(frame.data))

        return Piece(start, last + 1, read, rest, size)

    if frame.magic < 2:
        kept = messages(fetch.topic, fetch.partition, frame.data, max_bytes=max_bytes)
        _check_place(kept[-1].offset, start, fetch)
        size = sum(len(one.key or b"") + len(one.value or b"") for one in kept)
        return piece(frame.base_offset, lambda: iter(kept), size)
    if frame.magic > 2:
        raise BatchBroken(f"the batch has format {frame.magic}, this program reads 0 to 2")
    header = BatchHeader.read(frame.data)
    check(frame.data, header)
    _check_place(header.last_offset, start, fetch)
    if aborted.hides(header) or header.is_control:
        return piece(header.last_offset, lambda: iter(()), 0)
    reader, size = records(
        fetch.topic, fetch.partition, frame.data, header, max_bytes=max_bytes, max_headers=fetch.max_headers
    )
    return piece(header.last_offset, reader, size)


def _check_place(last_offset: int, start: int, fetch: Fetch) -> None:
    """The base offset of a batch is not covered by its checksum."""
    if not start <= last_offset < fetch.end:
        raise BatchBroken(f"the batch claims to end at offset {last_offset}, outside of {start} to {fetch.end - 1}")


def _last_offset(fetch: Fetch, frame: Frame, start: int) -> int | None:
    """Where an unreadable batch ends; None if that can't be told. Its header counts only if the checksum is right."""
    last = frame.base_offset if frame.magic < 2 else None
    if frame.magic == 2:
        with suppress(BatchBroken):
            header = BatchHeader.read(frame.data)
            check(frame.data, header)
            last = header.last_offset
    return last if last is not None and start <= last < fetch.end else None


def _range(
    fetch: Fetch, offset: int, last: int, error: BatchBroken | BatchTooLarge, raw: bytes | None
) -> UnreadableRange:
    too_large = isinstance(error, BatchTooLarge)
    return UnreadableRange(fetch.topic, fetch.partition, offset, last, str(error), raw, too_large=too_large)


class _Aborted:
    """Which batches belong to aborted transactions. Asked batch by batch, in the order of the log."""

    def __init__(self, aborted: Sequence[tuple[int, int]] | None) -> None:
        self._committed_only = aborted is not None
        self._ahead = sorted(aborted or (), key=lambda one: one[1], reverse=True)
        self._open: set[int] = set()

    def hides(self, header: BatchHeader) -> bool:
        """Whether the batch is part of an aborted transaction. A control batch ends its producer's transaction."""
        if not self._committed_only or header.producer_id == _NO_PRODUCER:
            return False
        while self._ahead and self._ahead[-1][1] <= header.base_offset:
            self._open.add(self._ahead.pop()[0])
        if header.is_control:
            self._open.discard(header.producer_id)
        return header.is_transactional and header.producer_id in self._open
