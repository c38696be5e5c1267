"""What one transaction holds: one request for each version, by the memory and within the batch."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import orjson
import pytest
from aiokafka import TopicPartition
from prometheus_client import CollectorRegistry

from service.ingest.judging import CHANGE_HEADER, REQUEST_HEADER, Incoming, Judge, Judgement, incoming
from service.ingest.log.active import Active
from service.ingest.log.recall import take_record
from service.ingest.memory import Memory
from service.ingest.notifications.arrival import Unreadable
from service.ingest.rules.reading import read_rules
from service.kafka.ports import InRecord, OutRecord
from service.kafka.reading.fetched import UnreadableRange
from service.kafka.topics.record_limits import TopicLimits
from service.settings import load_settings
from service.telemetry.ingest_metrics import IngestMetrics
from service.telemetry.metrics import Metrics
from tests.ingest.world import record_of, s3_event
from tests.support.clock import HandClock

pytestmark = pytest.mark.unit

Headers = tuple[tuple[str, bytes | None], ...]


class Bench:
    """A judge with its memory, as a process has it; `restarted` is the next one, that knows the topic only."""

    def __init__(self, folder: Path, rule: str = 'name = "a"\nprompt = "What?"', *, seconds: float = 3_600) -> None:
        file = folder / "rules.toml"
        file.write_text(f"[[rules]]\n{rule}\n")
        self.memory = Memory(seconds=seconds, most=1_000)
        self.judge = Judge(
            read_rules(file, max_bytes=1024 * 1024),
            self.memory,
            TopicLimits(),
            requests="requests",
            dead_letters="dlq",
            partition_of=len,
            letter_partitions=2,
        )

    def take(self, *values: bytes, headers: Headers = (), now: float = 1_000.0) -> Judgement:
        """Judge records with these values, and remember what was sent, as after a commit."""
        batch = [incoming(InRecord("events", 5, at, 0, b"k", value, headers)) for at, value in enumerate(values)]
        return self.commit(batch, now)

    def commit(self, batch: Sequence[Incoming], now: float = 1_000.0) -> Judgement:
        """The same for what is read already."""
        judged = Judgement()
        for one in batch:
            self.judge.judge(one, judged, now)
        for request_id in judged.sent:
            self.memory.sent(request_id, now)
        for digest, sequencer in judged.changes.items():
            self.memory.changed(digest, sequencer, now)
        self.memory.expire(now)
        return judged

    def restart(self, written: Sequence[OutRecord]) -> None:
        """Forget everything and read what is in the topic."""
        self.memory.__init__(seconds=3_600, most=1_000)  # type: ignore[misc]
        for record in written:
            take_record(self.memory, InRecord("requests", 0, 0, 0, record.key, record.value, record.headers), 1_000.0)


def _event(key: str = "a.mp4", **members: object) -> bytes:
    return record_of(s3_event(key, **members))  # type: ignore[arg-type]


def test_a_notification_that_comes_again_sends_nothing(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    first = bench.take(_event(), _event(), record_of(s3_event("a.mp4"), s3_event("b.mp4")))
    again = bench.take(_event())

    assert first.outcomes == {"sent": 2, "duplicate": 2}
    assert again.outcomes == {"duplicate": 1}
    assert again.records == []


def test_the_next_process_knows_it_from_the_topic(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    written = bench.take(_event(sequencer=5), _event("b.mp4")).records
    bench.restart(written)

    assert bench.take(_event(sequencer=5), _event("b.mp4")).outcomes == {"duplicate": 2}
    assert bench.take(_event(etag="older", sequencer=4)).outcomes == {"superseded": 1}


def test_each_version_of_a_bucket_that_keeps_them_is_sent_in_any_order(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    judged = bench.take(*(_event(version=f"v{number}", sequencer=number) for number in (3, 1, 2, 1)))

    assert judged.outcomes == {"sent": 3, "duplicate": 1}
    assert all(name != CHANGE_HEADER for record in judged.records for name, _ in record.headers)


def test_without_versions_an_older_content_is_gone_and_not_sent(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    judged = bench.take(_event(etag="new", sequencer=9), _event(etag="old", sequencer=8), _event("b.mp4", sequencer=1))

    assert judged.outcomes == {"sent": 2, "superseded": 1}
    assert bench.take(_event(etag="newer", sequencer=10)).outcomes["sent"] == 1


def test_an_id_is_forgotten_after_the_window(tmp_path: Path) -> None:
    bench = Bench(tmp_path, seconds=60)
    bench.take(_event(), now=1_000)
    bench.take(_event("b.mp4"), now=1_050)

    assert bench.take(_event(), now=1_055).outcomes["duplicate"] == 1
    bench.take(_event("c.mp4"), now=1_061)
    assert bench.take(_event(), now=1_062).outcomes["sent"] == 1
    assert bench.take(_event("b.mp4"), now=1_062).outcomes["duplicate"] == 1


def test_memory_is_bounded() -> None:
    memory = Memory(seconds=1e9, most=10)
    for number in range(100):
        memory.sent(f"r{number}", 0.0)
        memory.changed(b"%d" % number, "1", 0.0)
        memory.expire(0.0)

    assert len(memory) == 10
    assert memory.knows("r99")
    assert not memory.knows("r89")


def test_a_request_carries_its_id_its_trace_and_the_partition_of_its_key(tmp_path: Path) -> None:
    bench = Bench(tmp_path, 'name = "a"\nprompt = "What?"\nkey = "{bucket}"')
    (record,) = bench.take(_event(), headers=(("traceparent", b"00-1-2-01"), ("x", b"y"))).records
    headers = dict(record.headers)

    assert (record.topic, record.partition, record.key) == ("requests", len(b"footage"), b"footage")
    assert headers["traceparent"] == b"00-1-2-01"
    assert "x" not in headers
    assert headers[REQUEST_HEADER] is not None


def test_what_is_not_for_us_is_counted_and_nothing_is_written(tmp_path: Path) -> None:
    bench = Bench(tmp_path, 'name = "a"\nprompt = "What?"\nprefix = "cams/"')
    judged = bench.take(
        _event("other.mp4"), _event("cams/a.mp4", event="ObjectRemoved:Delete"), _event("cams/empty.mp4", size=0)
    )

    assert judged.outcomes == {"unmatched": 1, "other": 1, "empty": 1}
    assert judged.records == []


def test_what_can_not_be_read_is_a_dead_letter_of_its_record(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    judged = bench.take(record_of(s3_event("a.mp4"), {"eventName": 7}))
    request, letter = judged.records

    assert judged.outcomes == {"sent": 1, "rejected": 1}
    assert (letter.topic, letter.partition) == ("dlq", 5 % 2)
    assert dict(letter.headers)["dlq.original.topic"] == b"events"
    assert dict(letter.headers)["dlq.original.partition"] == b"5"
    assert dict(letter.headers)["dlq.notification"] == b"1"  # a redrive leaves it out: it is no request
    assert request.topic == "requests"
    assert judged.letters == {"invalid": 1}


def test_bytes_that_nobody_can_decode_are_a_dead_letter(tmp_path: Path) -> None:
    gap = UnreadableRange("events", 0, 3, 4, "the batch is damaged", b"raw")
    judged = Bench(tmp_path).commit([incoming(gap)])

    (letter,) = judged.records
    assert letter.value == b"raw"
    assert dict(letter.headers)["dlq.original.last_offset"] == b"4"


def test_without_a_record_the_reason_is_given_back(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    judged = bench.commit([Incoming([Unreadable(bench.take(b"{").letters and "not_json", "is wrong")])])  # type: ignore[arg-type]

    assert judged.records == []
    assert judged.refused == ["is wrong"]


@pytest.mark.parametrize(
    ("encoded", "uri"),
    [
        ("cams%2Fa.mp4", "s3://footage/cams/a.mp4"),
        ("cams/a%252Fb.mp4", "s3://footage/cams/a%2Fb.mp4"),
        ("a+b%2Bc.mp4", "s3://footage/a b+c.mp4"),
        ("a%E2%80%AFb%E3%80%80c%C2%AD.mp4", "s3://footage/a\u202fb\u3000c\u00ad.mp4"),
        ("k" * 1_024, "s3://footage/" + "k" * 1_024),
        ("%F0%9F%8E%AC" * 256, "s3://footage/" + "🎬" * 256),
    ],
)
def test_a_strange_name_is_sent_letter_by_letter_and_once(tmp_path: Path, encoded: str, uri: str) -> None:
    bench = Bench(tmp_path)
    (record,) = bench.take(_event(encoded), _event(encoded)).records
    assert record.topic == "requests"
    assert orjson.loads(record.value or b"")["video"] == {"type": "object", "uri": uri}


@pytest.mark.parametrize("encoded", ["a%0Ab.mp4", "a%FFb.mp4", ""])
def test_a_name_that_no_request_can_hold_is_a_dead_letter(tmp_path: Path, encoded: str) -> None:
    judged = Bench(tmp_path).take(_event(encoded), _event("good.mp4"))
    assert judged.outcomes == {"rejected": 1, "sent": 1}
    assert [record.topic for record in judged.records] == ["dlq", "requests"]


async def test_a_clock_that_is_set_forgets_nothing(tmp_path: Path) -> None:
    bench, clock = Bench(tmp_path), HandClock(epoch=1_790_000_000.0)
    active = Active(load_settings(), "g", Silent(), Metrics(), IngestMetrics(CollectorRegistry()), clock)  # type: ignore[arg-type]
    active._judge, active.memory, active._note_at = bench.judge, bench.memory, TopicPartition("events", 0)
    active.positions[active._note_at] = 0
    batch = [incoming(InRecord("events", 0, 0, 0, b"k", _event(), ()))]
    assert (await active.take(batch)).outcomes == {"sent": 1}
    for years in (5, -10):
        clock._epoch += years * 365 * 86_400
        assert (await active.take(batch)).outcomes == {"duplicate": 1}
    await active.close()


class Silent:
    """A producer that takes everything."""

    def __getattr__(self, name: str) -> Callable[..., Awaitable[list[object]]]:
        async def call(*_arguments: object) -> list[object]:
            return []

        return call
