"""From the bytes of a fetch to batches that can be read, and to ranges that can't.

Pure: no I/O, no clock. Nothing here raises for what it is given; a fault of the bytes becomes an `UnreadableRange`.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

from service.kafka.reading.errors import BatchBroken, BatchTooLarge
from service.kafka.reading.fetched import Fetched, UnreadableRange, next_offset
from service.kafka.reading.message_set import messages
from service.kafka.reading.record_batch import BatchHeader, check, records

_FRAME = struct.Struct(">qi")
_MAGIC_AT = 16
_SEEN_BYTES = 17  # as much of a batch as tells its offset, length and format
_NO_PRODUCER = -1


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


@dataclass(frozen=True, slots=True)
class Frame:
    """One batch in the bytes of a fetch. `next_base` is the base offset of the one behind it, if that can be seen."""

    base_offset: int
    magic: int
    data: memoryview
    next_base: int | None


@dataclass(frozen=True, slots=True)
class Piece:
    """A batch made ready: `read` gives its records from offset `start` on; behind it is `next_offset`.

    `rest` is the range from an offset to the batch's end, for when `read` could not go on there.
    """

    start: int
    next_offset: int
    read: Callable[[], Iterator[Fetched]]
    rest: Callable[[int, BatchBroken], UnreadableRange]


@dataclass(slots=True)
class Prepared:
    """Batches that are ready to be read, and `bytes` that their records take.

    `damaged` is set when a batch is unreadable and its end can't be seen in these bytes: reading can't go on behind
    it before the end is found.
    """

    pieces: list[Piece] = field(default_factory=list)
    bytes: int = 0
    damaged: UnreadableRange | None = None


def frames(data: bytes) -> tuple[list[Frame], bool]:
    """The whole batches of a fetch, and whether the bytes begin with one that is not whole.

    A fetch may end within a batch; that one is fetched again. The first batch is always sent whole (since Kafka
    0.10.1), so one that is not whole has a damaged length.
    """
    places, view = _places(data)
    found = []
    for number, (base, at, size) in enumerate(places, start=1):
        if at + size > len(view):
            break
        next_base = places[number][0] if number < len(places) and places[number][0] > base else None
        found.append(Frame(base, view[at + _MAGIC_AT], view[at : at + size], next_base))
    return found, not found and len(view) > 0


def bases(data: bytes) -> list[int]:
    """The offsets at which the batches of a fetch claim to begin, the last one perhaps not whole."""
    return [base for base, _, _ in _places(data)[0]]


def _places(data: bytes) -> tuple[list[tuple[int, int, int]], memoryview]:
    """Base offset, position and size of each batch, as far as sizes make sense."""
    view = memoryview(data).toreadonly()
    found: list[tuple[int, int, int]] = []
    at = 0
    while at + _SEEN_BYTES <= len(view):
        base, length = _FRAME.unpack_from(view, at)
        size = _FRAME.size + length
        if size < _SEEN_BYTES:
            break
        found.append((base, at, size))
        at += size
    return found, view


def prepare(fetch: Fetch, *, budget_bytes: int, max_batch_bytes: int) -> Prepared:
    """Check and decompress batches until they hold `budget_bytes`, but at least one.

    Runs in a thread for large fetches. Batches of aborted transactions and control batches are left out, as
    `read_committed` asks.
    """
    prepared = Prepared()
    aborted = _Aborted(fetch.aborted)
    found, cut_off = frames(fetch.data)
    if cut_off:
        reason = "the length of the batch makes no sense: the batch was damaged"
        prepared.damaged = _range(fetch, fetch.offset, fetch.offset, BatchBroken(reason), None)
    for frame in found:
        if prepared.pieces and prepared.bytes >= budget_bytes:
            break
        start = prepared.pieces[-1].next_offset if prepared.pieces else fetch.offset
        try:
            piece, size = _ready(fetch, frame, start, aborted, max_batch_bytes)
        except (BatchBroken, BatchTooLarge) as error:
            if frame.magic >= 2 and frame.base_offset < fetch.end:  # else the offset is that of the last record
                start = max(start, frame.base_offset)
            last = _last_offset(fetch, frame, start)
            gap = _range(fetch, start, start if last is None else last, error, bytes(frame.data))
            if last is None:
                prepared.damaged = gap
                break
            piece, size = gap_piece(gap), len(frame.data)
        prepared.pieces.append(piece)
        prepared.bytes += size
    return prepared


def gap_piece(gap: UnreadableRange) -> Piece:
    """A range as something to read: it is handed on in its place among the records."""
    return Piece(gap.offset, gap.last_offset + 1, lambda: iter((gap,)), lambda offset, _: replace(gap, offset=offset))


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


def _ready(fetch: Fetch, frame: Frame, start: int, aborted: _Aborted, max_bytes: int) -> tuple[Piece, int]:
    """The batch as a piece, and how many bytes its records take. Raises `BatchBroken` or `BatchTooLarge`."""

    def piece(last: int, read: Callable[[], Iterator[Fetched]]) -> Piece:
        return Piece(start, last + 1, read, lambda offset, why: _range(fetch, offset, last, why, bytes(frame.data)))

    if frame.magic < 2:
        kept = messages(fetch.topic, fetch.partition, frame.data, max_bytes=max_bytes)
        _check_place(kept[-1].offset, start, fetch)
        size = sum(len(one.key or b"") + len(one.value or b"") for one in kept)
        return piece(frame.base_offset, lambda: iter(kept)), size
    if frame.magic > 2:
        raise BatchBroken(f"the batch has format {frame.magic}, this program reads 0 to 2")
    header = BatchHeader.read(frame.data)
    check(frame.data, header)
    _check_place(header.last_offset, start, fetch)
    if aborted.hides(header) or header.is_control:
        return piece(header.last_offset, lambda: iter(())), 0
    reader, size = records(fetch.topic, fetch.partition, frame.data, header, max_bytes=max_bytes)
    return piece(header.last_offset, reader), size


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
    candidates = (last, None if frame.next_base is None else frame.next_base - 1)
    return next((one for one in candidates if one is not None and start <= one < fetch.end), None)


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
