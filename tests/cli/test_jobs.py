"""`cancel`, `jobs` and `doctor --request`: a request is found wherever it is, and nothing is done where it is not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest
from aiokafka import AIOKafkaProducer

from contracts.events import Canceled, Completed, Duplicate, Timings
from service.domain.job import Job, Mode, Phase, encode_job
from service.kafka.connecting.connection import producer_options
from service.settings import KafkaSettings, TopicSettings
from tests.cli.conftest import Command, FakeService
from tests.domain.builders import job_in, request_of

pytestmark = pytest.mark.acceptance

NOW = "2026-03-04T05:00:00.000Z"
URL = "https://media.example.com/a.mp4"


class Log:
    """Writes records as the service does."""

    def __init__(self, topics: TopicSettings, producer: AIOKafkaProducer) -> None:
        self._topics = topics
        self._producer = producer

    async def job(self, request_id: str, phase: Phase, partition: int, **members: Any) -> Job:
        request = request_of(request_id=request_id, tenant=members.pop("tenant", None))
        job = job_in(phase, request, partition=partition, offset=7).but(**members)
        await self.put(self._topics.jobs, partition, request_id, encode_job(job))
        return job

    async def ended(self, request_id: str, partition: int) -> None:
        await self.put(self._topics.jobs, partition, request_id, None)
        value = {"v": 1, "id": request_id, "digest": "d", "completion": [self._topics.completions, partition, 5]}
        await self.put(self._topics.finished, partition, request_id, orjson.dumps(value | {"ended_at_ms": 1}))

    async def put(self, topic: str, partition: int, key: str, value: bytes | None) -> None:
        await self._producer.send_and_wait(topic, value, key=key.encode(), partition=partition)


@pytest.fixture
async def log(kafka: KafkaSettings, topics: TopicSettings) -> AsyncIterator[Log]:
    producer = AIOKafkaProducer(**producer_options(kafka))
    await producer.start()
    yield Log(topics, producer)
    await producer.stop()


async def test_a_job_is_canceled_in_its_own_partition_and_under_its_own_key(
    reelwire: Command, fake: FakeService, log: Log
) -> None:
    await log.job("cam7-1", Phase.WATCHING, 1, key=b"cam7", task_id="t1")
    await log.job("other", Phase.WATCHING, 0)
    result = await reelwire("cancel", "cam7-1", "--json")
    assert result.code == 0, result.err
    record = await fake.request()
    assert (record.partition, record.key) == (1, b"cam7")
    assert orjson.loads(record.value) == {"type": "cancel", "request_id": "cam7-1"}
    assert result.json == [{"role": "requests", "partition": 1, "offset": record.offset, "request_id": "cam7-1"}]


async def test_a_request_that_nobody_has_read_yet_is_canceled_where_it_is(
    reelwire: Command, fake: FakeService, log: Log, topics: TopicSettings
) -> None:
    value = orjson.dumps({"request_id": "early", "prompt": "p", "video": {"type": "url", "url": URL}})
    await log.put(topics.requests, 1, "cam7", value)
    await log.put(topics.requests, 0, "cam7", value.replace(b"early", b"earlier"))
    result = await reelwire("cancel", "early")
    assert result.code == 0, result.err
    seen = [await fake.request() for _ in range(3)]
    (cancel,) = [record for record in seen if b"cancel" in record.value]
    assert (cancel.partition, cancel.key) == (1, b"cam7")


async def test_what_is_unknown_or_has_ended_is_said_and_nothing_is_sent(
    reelwire: Command, fake: FakeService, log: Log
) -> None:
    await log.ended("over", 1)
    for name, words in (("over", "has ended already"), ("nobody", "no request nobody is known")):
        result = await reelwire("cancel", name)
        assert (result.code, words in result.err) == (4, True), result.err
    marker = await fake.produce(b"{}", b"k")
    assert marker.value == b"{}", "no cancel came before"


async def test_an_id_in_two_partitions_is_canceled_in_both_and_doctor_says_so(
    reelwire: Command, fake: FakeService, log: Log
) -> None:
    await log.job("twice", Phase.WATCHING, 0)
    await log.job("twice", Phase.ACCEPTED, 1)
    result = await reelwire("cancel", "twice")
    assert result.code == 0
    assert "is in 2 partitions (0, 1)" in result.err
    assert {(await fake.request()).partition for _ in range(2)} == {0, 1}
    told = await reelwire("doctor", "--request", "twice", "--json")
    assert told.code == 1
    assert [line["grade"] for line in told.json] == ["ok", "ok", "fail"]
    assert "murmur2" in told.json[-1]["todo"]


async def test_doctor_says_where_one_request_is(reelwire: Command, log: Log) -> None:
    await log.job("runs", Phase.WATCHING, 1, task_id="t9", attempt=2)
    await log.ended("over", 0)
    lines = [await reelwire("doctor", "--request", name) for name in ("runs", "over", "nobody")]
    assert [line.code for line in lines] == [0, 0, 1]
    assert "partition 1, offset 7: in flight, watching, attempt 2, task t9" in lines[0].out
    assert "partition 0: has ended; its completion is at" in lines[1].out
    assert "is not known" in lines[2].out


@pytest.mark.parametrize(("end", "code"), [("canceled", 0), ("completed", 4)])
async def test_cancel_waits_for_the_end(reelwire: Command, fake: FakeService, log: Log, end: str, code: int) -> None:
    await log.job("cam7-1", Phase.WATCHING, 1)

    async def answer() -> None:
        record = await fake.request()
        told: Any = Canceled(request_id="cam7-1", attempt=1, time=NOW, reason="asked for")
        if end == "completed":
            told = Completed(request_id="cam7-1", attempt=1, time=NOW, mode="async", text="x", finish_reason="stop",
                             fragments=0, timings=Timings(queued=0.1, total=2.5))  # fmt: skip
        await fake.publish("completions", told, record)

    result, _ = await asyncio.gather(reelwire("cancel", "cam7-1", "--wait"), answer())
    assert result.code == code, result.err
    assert ("is canceled" if end == "canceled" else "ended as completed before it could be canceled") in result.err


async def test_a_wait_has_an_end_of_its_own(reelwire: Command, log: Log) -> None:
    await log.job("cam7-1", Phase.WATCHING, 1)
    result = await reelwire("cancel", "cam7-1", "--wait", "--timeout", "0.5")
    assert (result.code, "has not ended within 0.5 s" in result.err) == (5, True)


async def test_jobs_are_listed_and_shown(reelwire: Command, log: Log, topics: TopicSettings) -> None:
    await log.job("b", Phase.WATCHING, 1, accepted_ms=2_000, task_id="t1", mode=Mode.ASYNC, key=b"cam7", tenant="acme")
    await log.job("a", Phase.ACCEPTED, 0, accepted_ms=1_000)
    await log.job("gone", Phase.ACCEPTED, 0, accepted_ms=500)
    await log.ended("gone", 0)
    await log.put(topics.jobs, 0, "broken", b"no job")
    listed = await reelwire("jobs", "list", "--json")
    assert listed.code == 0, listed.err
    assert [(row["request_id"], row["phase"], row["waits_for"]) for row in listed.json] == [
        ("a", "accepted", "its video"),
        ("b", "watching", "the platform"),
    ]
    chosen = await reelwire("jobs", "list", "--tenant", "acme", "--phase", "watching")
    assert "b" in chosen.out
    assert "t1" in chosen.out
    assert "\na\t" not in chosen.out
    shown = (await reelwire("jobs", "show", "b", "--json")).json
    assert [(one["task_id"], one["key"], one["request"]["tenant"]) for one in shown] == [("t1", "cam7", "acme")]
    missing = await reelwire("jobs", "show", "gone")
    assert (missing.code, "doctor --request gone" in missing.err) == (4, True)


async def test_an_answer_to_another_request_under_the_same_id_is_not_shown(
    reelwire: Command, fake: FakeService
) -> None:
    async def answer() -> None:
        record = await fake.request()
        await fake.publish("progress", Duplicate(request_id="mine", attempt=1, time=NOW, same_body=False), record)

    result, _ = await asyncio.gather(reelwire("submit", URL, "--request-id", "mine", "--wait"), answer())
    assert result.code == 6, result.err
    assert "was used before, for a request with another body" in result.err
    assert result.out == ""


async def test_a_partition_can_be_chosen_and_must_be_there(reelwire: Command, fake: FakeService) -> None:
    assert (await reelwire("submit", URL, "--request-id", "p1", "--partition", "1")).code == 0
    assert (await fake.request()).partition == 1
    wrong = await reelwire("submit", URL, "--partition", "99")
    assert (wrong.code, "there is no 99" in wrong.err) == (2, True)
