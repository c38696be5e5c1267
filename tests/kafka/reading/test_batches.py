"""From bytes to records: what other clients write, and what nobody should."""

from __future__ import annotations

import struct
import time
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.limits import MAX_READ_HEADERS
from service.kafka.header_names import name_bytes
from service.kafka.ports import InRecord
from service.kafka.reading import record_batch
from service.kafka.reading.batches import Fetch, Prepared, is_compressed, prepare, read
from service.kafka.reading.fetched import Fetched, UnreadableRange
from tests.kafka.reading.batches import CODECS, Raw, RawBatch, gzip, message, xerial_snappy, zstd

pytestmark = pytest.mark.unit

END = 1_000


def taken(
    *parts: bytes, offset: int = 0, aborted: list[tuple[int, int]] | None = None, limit: int = 1 << 20
) -> tuple[Prepared, list[Fetched]]:
    """What a fetch of these bytes gives, and all that is read of it."""
    fetch = Fetch("t", 3, offset, END, b"".join(parts), aborted)
    prepared = prepare(fetch, budget_bytes=1 << 30, max_batch_bytes=limit)
    return prepared, [found for piece in prepared.pieces for found in read(piece)]


def shown(found: list[Fetched]) -> list[object]:
    """Values of records, and both ends of ranges."""
    return [one.value if isinstance(one, InRecord) else (one.offset, one.last_offset) for one in found]


@pytest.mark.parametrize("name", CODECS)
def test_every_codec_in_every_framing_is_read(name: str) -> None:
    codec, compress = CODECS[name]
    records = [Raw(b"k%d" % n, b"value " * 500 + b"%d" % n, [(b"h", b"1")]) for n in range(3)]
    _, found = taken(RawBatch(records, base_offset=5, codec=codec, compress=compress).encode(), offset=5)
    assert [(one.offset, one.key, one.value, one.headers) for one in found if isinstance(one, InRecord)] == [
        (5 + n, record.key, record.value, (("h", b"1"),)) for n, record in enumerate(records)
    ]


ODD = [
    (b"\xff\xfe", b"1"),
    (b"ok", b"\xc3\x28"),
    (b"null", None),
    (b"", b""),
    (b"\xed\xa0\x80", b"a surrogate"),
    ("straße".encode(), b"2"),
]


def test_any_bytes_are_a_header_name_and_come_back_as_they_were() -> None:
    _, found = taken(RawBatch([Raw(headers=ODD), Raw(None, None), Raw(b"", b"")]).encode())
    first, second, third = found
    assert isinstance(first, InRecord)
    assert isinstance(second, InRecord)
    assert isinstance(third, InRecord)
    assert [(name_bytes(name), value) for name, value in first.headers] == ODD
    assert ("ok", b"\xc3\x28") in first.headers
    assert (second.key, second.value, third.key, third.value) == (None, None, b"", b"")


@given(st.binary(max_size=40))
def test_a_name_of_any_bytes_survives(name: bytes) -> None:
    _, (found,) = taken(RawBatch([Raw(headers=[(name, b"1")])]).encode())
    assert isinstance(found, InRecord)
    assert name_bytes(found.headers[0][0]) == name


def test_a_damaged_batch_is_a_range_and_its_neighbours_are_read() -> None:
    damaged = bytearray(RawBatch([Raw(), Raw(), Raw()], base_offset=2).encode())
    damaged[-1] ^= 1
    prepared, found = taken(RawBatch([Raw(value=b"a"), Raw(value=b"b")]).encode(), bytes(damaged),
                            RawBatch([Raw(value=b"c")], base_offset=5).encode())  # fmt: skip
    assert shown(found) == [b"a", b"b", (2, 4), b"c"]
    assert isinstance(found[2], UnreadableRange)
    assert (found[2].raw, "checksum" in found[2].reason) == (bytes(damaged), True)
    assert prepared.damaged_at is None


def test_the_end_of_a_damaged_batch_is_open_when_nothing_behind_it_can_be_seen() -> None:
    damaged = bytearray(RawBatch([Raw(), Raw(), Raw()], base_offset=2).encode())
    damaged[-1] ^= 1
    prepared, found = taken(RawBatch([Raw(value=b"a")], base_offset=1).encode(), bytes(damaged), offset=1)
    assert shown(found) == [b"a"]
    assert prepared.damaged_at == 2


BROKEN = {
    "a codec that does not exist": RawBatch(codec=6),
    "data that the codec did not write": RawBatch(codec=4, payload=b"not zstd at all"),
    "gzip that ends too early": RawBatch(codec=1, payload=gzip(b"x" * 1000)[:-9]),
    "snappy blocks of nonsense": RawBatch(codec=2, payload=xerial_snappy(b"x" * 5000)[:-3]),
    "lz4 of nonsense": RawBatch(codec=3, payload=b"\x04\x22\x4d\x18" + b"\xff" * 50),
    "a record with a negative length": RawBatch([Raw(length=-5)]),
    "a record that is longer than the batch": RawBatch([Raw(length=5_000)]),
    "a negative number of records": RawBatch([Raw()], count=-1),
    "an offset outside of the batch": RawBatch([Raw(offset_delta=9)]),
    "a format to come": RawBatch(magic=3),
    "a format without bounds": RawBatch(magic=127),
    "an end before its beginning": RawBatch(last_delta=-4),
    "an end beyond that of the log": RawBatch(last_delta=5_000),
    "nothing in it": RawBatch(payload=b""),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_batch_with_a_sound_checksum_and_unsound_insides_is_passed_over(name: str) -> None:
    batch = BROKEN[name].encode()
    prepared, found = taken(batch, RawBatch([Raw(value=b"next")], base_offset=1).encode())
    assert shown(found)[-2:] == [(0, 0), b"next"]
    assert prepared.pieces[-1].next_offset == 2


BAD_INSIDES = {
    "a value longer than the record": b"\x01\x7e" + b"x" * 3,
    "more headers than bytes": b"\x01\x01\xfe\xff\xff\xff\x0f",
    "a negative number of headers": b"\x01\x01\x05",
    "a header name that is null": b"\x01\x01\x02\x01\x01",
    "bytes behind the headers": b"\x01\x01\x00 and more",
    "a number that does not end": b"\xff" * 12,
    "nothing": b"",
}


@pytest.mark.parametrize("name", BAD_INSIDES)
def test_a_record_that_can_not_be_read_is_passed_over_alone(name: str) -> None:
    records = [Raw(value=b"a"), Raw(body=BAD_INSIDES[name]), Raw(value=b"c", headers=[(b"\xff", b"1")])]
    _, found = taken(RawBatch(records).encode())
    assert shown(found) == [b"a", (1, 1), b"c"]
    assert isinstance(found[1], UnreadableRange)
    assert found[1].raw


@pytest.mark.parametrize("count", [7, 2**31 - 1])
def test_a_batch_that_claims_more_records_than_it_has_is_read_as_far_as_it_goes(count: int) -> None:
    _, found = taken(RawBatch([Raw(value=b"a"), Raw(value=b"b")], count=count, last_delta=4).encode())
    assert shown(found) == [b"a", b"b", (2, 4)]


def test_what_is_read_before_a_broken_record_counts_and_the_rest_is_a_range() -> None:
    _, found = taken(RawBatch([Raw(value=b"a"), Raw(length=9_999), Raw(), Raw()]).encode(), offset=0)
    assert shown(found) == [b"a", (1, 3)]


def test_a_bomb_is_refused_before_it_is_in_memory() -> None:
    for name in ("gzip", "snappy, one block", "snappy, xerial", "lz4", "zstd", "zstd, size unknown"):
        codec, compress = CODECS[name]
        data = RawBatch(codec=codec, payload=compress(b"\0" * (64 << 20))).encode()
        tracemalloc.start()
        begun = time.perf_counter()
        _, found = taken(data, limit=8 << 20)
        seconds, peak = time.perf_counter() - begun, tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert isinstance(found[0], UnreadableRange), name
        assert found[0].too_large
        assert peak < len(data) * 4 + (24 << 20), (name, peak)
        assert seconds < 2


BEHIND = {
    "nothing": b"",
    "zeros": b"\0" * 300,
    "garbage": b"garbage behind the end",
    "half a header": b"\x1f\x8b\x08",
    "half a member": gzip(b"more" * 1_000)[:20],
    "an empty member": gzip(b""),
    "an empty member and zeros": gzip(b"") + b"\0" * 9,
}


@pytest.mark.parametrize("members", [1, 2])
@pytest.mark.parametrize("behind", BEHIND)
def test_what_follows_the_last_member_of_gzip_costs_no_record(behind: str, members: int) -> None:
    def compress(data: bytes) -> bytes:
        cut = len(data) // 2 if members == 2 else 0
        return (gzip(data[:cut]) + gzip(data[cut:]) if cut else gzip(data)) + BEHIND[behind]

    prepared, found = taken(RawBatch([Raw(value=b"a"), Raw(value=b"b")], codec=1, compress=compress).encode())
    assert shown(found) == [b"a", b"b"]
    assert prepared.damaged_at is None


def test_a_second_member_that_is_cut_off_costs_the_records_in_it_alone() -> None:
    def compress(data: bytes) -> bytes:
        cut = data.index(b"second") - 20
        return gzip(data[:cut]) + gzip(data[cut:])[:-30]

    records = [Raw(value=b"first"), Raw(value=b"x" * 40), Raw(value=b"second" + bytes(range(200)))]
    _, found = taken(RawBatch(records, codec=1, compress=compress).encode())
    assert shown(found)[0] == b"first"
    assert isinstance(found[-1], UnreadableRange)
    assert found[-1].last_offset == 2


def test_a_fetch_stops_at_its_budget_and_goes_on_there() -> None:
    data = b"".join(RawBatch([Raw(value=b"x" * 1000)], base_offset=n).encode() for n in range(5))
    prepared = prepare(Fetch("t", 0, 0, END, data), budget_bytes=2_500, max_batch_bytes=1 << 20)
    assert [piece.next_offset for piece in prepared.pieces] == [1, 2, 3]
    prepared = prepare(Fetch("t", 0, 0, END, data), budget_bytes=0, max_batch_bytes=1 << 20)
    assert [piece.next_offset for piece in prepared.pieces] == [1]


def test_records_before_the_position_are_left_out_and_half_a_batch_at_the_end_is_fetched_again() -> None:
    data = RawBatch([Raw(value=b"%d" % n) for n in range(4)]).encode() + RawBatch(base_offset=4).encode()[:-1]
    prepared, found = taken(data, offset=2)
    assert shown(found) == [b"2", b"3"]
    assert prepared.damaged_at is None


def test_half_a_batch_at_the_beginning_is_damage() -> None:
    prepared, found = taken(RawBatch().encode()[:-1])
    assert (found, prepared.damaged_at is None) == ([], False)


TRANSACTION, CONTROL = 0x10, 0x20


def _marker(kind: int, **options: int) -> bytes:
    record = Raw(struct.pack(">HH", 0, kind), b"\0" * 6)
    return RawBatch([record], attributes=TRANSACTION | CONTROL, producer=(7, 0, -1), **options).encode()  # type: ignore[arg-type]


def test_aborted_transactions_and_control_batches_are_left_out_for_committed_readers() -> None:
    def batch(base: int, value: bytes, producer: int) -> bytes:
        attributes = TRANSACTION if producer >= 0 else 0
        return RawBatch([Raw(value=value)], base_offset=base, attributes=attributes, producer=(producer, 0, 0)).encode()

    data = [batch(0, b"aborted", 7), batch(1, b"other", 8), batch(2, b"plain", -1), _marker(0, base_offset=3),
            batch(4, b"committed", 7), _marker(1, base_offset=5), _marker(99, base_offset=6)]  # fmt: skip
    prepared, found = taken(*data, aborted=[(7, 0)])
    assert shown(found) == [b"other", b"plain", b"committed"]
    assert prepared.pieces[-1].next_offset == 7
    _, found = taken(*data)
    assert shown(found) == [b"aborted", b"other", b"plain", b"committed"]


def test_a_control_batch_with_nothing_in_it_stops_nothing() -> None:
    control = RawBatch([Raw(body=b"")], attributes=CONTROL | TRANSACTION, producer=(7, 0, -1)).encode()
    _, found = taken(control, RawBatch(base_offset=1).encode(), aborted=[(7, 0)])
    assert shown(found) == [b"v"]


@pytest.mark.parametrize("magic", [0, 1])
def test_messages_of_the_old_formats_are_read(magic: int) -> None:
    _, found = taken(message(b"a", magic=magic, key=b"k"), message(None, offset=1, magic=magic))
    assert [(one.offset, one.key, one.value) for one in found if isinstance(one, InRecord)] == [
        (0, b"k", b"a"), (1, None, None)
    ]  # fmt: skip


@pytest.mark.parametrize(("codec", "compress"), [(1, gzip), (2, xerial_snappy), CODECS["lz4"]])
def test_old_messages_that_are_compressed_into_one_are_read(codec: int, compress: object) -> None:
    assert callable(compress)
    inner = b"".join(message(b"%d" % n, offset=n) for n in range(3))
    _, found = taken(message(compress(inner), offset=12, attributes=codec), offset=11)
    assert [(one.offset, one.value) for one in found if isinstance(one, InRecord)] == [(11, b"1"), (12, b"2")]


def test_a_damaged_old_message_is_passed_over() -> None:
    damaged = bytearray(message(b"a"))
    damaged[-1] ^= 1
    nested = message(gzip(message(gzip(message(b"x")), attributes=1)), offset=1, attributes=1)
    _, found = taken(bytes(damaged), nested, message(b"c", offset=2))
    assert shown(found) == [(0, 0), (1, 1), b"c"]


@given(st.data())
def test_no_damage_of_a_fetch_raises_and_offsets_only_grow(data: st.DataObject) -> None:
    good = [
        RawBatch([Raw(value=b"a"), Raw(headers=ODD)]).encode(),
        RawBatch([Raw(value=b"b" * 50)] * 3, base_offset=2, codec=4, compress=zstd).encode(),
        message(gzip(message(b"c") + message(b"d", offset=1)), offset=6, attributes=1),
        RawBatch([Raw()], base_offset=7, attributes=TRANSACTION, producer=(7, 0, 0)).encode(),
    ]
    raw = bytearray(b"".join(good))
    for at, byte in data.draw(st.lists(st.tuples(st.integers(0, len(raw) - 1), st.integers(0, 255)), max_size=4)):
        raw[at] = byte
    cut = data.draw(st.integers(0, len(raw)))
    prepared, found = taken(bytes(raw[:cut]), aborted=[(7, 7)])
    ends = [(one.offset, one.last_offset if isinstance(one, UnreadableRange) else one.offset) for one in found]
    behind = 0
    for first, last in ends:
        assert behind <= first <= last < END
        behind = last + 1
    assert all(piece.next_offset <= END for piece in prepared.pieces)


HOLDING_MANY = 340_000
"""Headers of three bytes, in a record of 1 MiB."""


@pytest.mark.parametrize("name", [b"a", b"\xff"])
def test_a_bomb_of_headers_is_passed_over_alone_and_undecoded(name: bytes) -> None:
    bomb = Raw(headers=[(name, b"")] * HOLDING_MANY)
    data = RawBatch([Raw(value=b"a"), bomb, Raw(value=b"c")], codec=4, compress=zstd).encode()
    prepared = prepare(Fetch("t", 3, 0, END, data), budget_bytes=1, max_batch_bytes=4 << 20)
    tracemalloc.start()
    found = list(read(prepared.pieces[0]))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert shown(found) == [b"a", (1, 1), b"c"]
    assert isinstance(found[1], UnreadableRange)
    assert found[1].too_large
    assert f"has {HOLDING_MANY} headers" in found[1].reason
    assert found[1].raw is not None
    assert found[1].raw.count(name) >= HOLDING_MANY
    assert peak < 2 * len(found[1].raw)


@pytest.mark.parametrize("name", [b"a", b"\xff"])
def test_headers_are_counted_exactly(name: bytes) -> None:
    records = [Raw(headers=[(name, b"")] * count) for count in (MAX_READ_HEADERS, MAX_READ_HEADERS + 1)]
    _, (taken_whole, passed_over) = taken(RawBatch(records).encode())
    assert isinstance(taken_whole, InRecord)
    assert len(taken_whole.headers) == MAX_READ_HEADERS
    assert isinstance(passed_over, UnreadableRange)


def test_a_count_of_headers_that_its_record_can_not_hold_is_damage_and_not_size() -> None:
    body = b"\x01\x01\xfe\xff\xff\xff\x0f" + b"\0" * 5_000
    _, (found,) = taken(RawBatch([Raw(body=body)]).encode())
    assert isinstance(found, UnreadableRange)
    assert not found.too_large


def test_a_record_that_the_compiled_decoder_refuses_slows_down_its_own_run_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ours: list[int] = []
    decode = record_batch._Records._record

    def counting(self: record_batch._Records, record: memoryview) -> Fetched:
        ours.append(1)
        return decode(self, record)

    monkeypatch.setattr(record_batch._Records, "_record", counting)
    records = [Raw(headers=[(b"\xff", b"")]), *[Raw(value=b"x" * 1000)] * 700]
    _, found = taken(RawBatch(records).encode())
    assert len(found) == 701
    assert len(ours) < 100


def test_reading_a_batch_takes_no_second_copy_of_it() -> None:
    data = RawBatch([Raw(value=b"x" * 1000)] * 8_000, codec=4, compress=zstd).encode()
    prepared = prepare(Fetch("t", 3, 0, 10_000, data), budget_bytes=1, max_batch_bytes=16 << 20)
    tracemalloc.start()
    count = sum(1 for _ in read(prepared.pieces[0]))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (count, peak < 1 << 20) == (8_000, True)


@pytest.mark.parametrize("name", CODECS)
def test_it_is_known_before_decompression_whether_a_fetch_holds_compressed_batches(name: str) -> None:
    codec, compress = CODECS[name]
    plain = RawBatch().encode() + message(b"a", offset=1)
    assert not is_compressed(plain)
    assert not is_compressed(plain[:-1])
    assert is_compressed(plain + RawBatch(codec=codec, compress=compress).encode()) == bool(codec)
    assert is_compressed(plain + message(compress(message(b"a")), attributes=codec)) == bool(codec)
