"""Slots, the poller, the records and the host."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from service.domain.change import Event, Slot
from service.domain.job import Job, encode_job
from service.domain.shares.turns import Line
from service.engine.job.admission import AdmissionSlots
from service.engine.live_job import LiveJob, Loop
from service.engine.polling.poller import Poller
from service.engine.records import RecordBuilder
from service.kafka.ports import UnreadableJob
from service.settings import TopicSettings
from service.supervision import Supervisor
from service.telemetry.metrics import Metrics
from tests.domain.builders import job_of, request_of
from tests.engine.bench import Bench, analyze
from tests.engine.fake_platform import Held
from tests.support.waiting import passed, settled, until

pytestmark = pytest.mark.unit

NORMAL = Line("normal", 0)
STREAM: dict[str, Any] = {"upload": "inline", "mode": "stream"}


class CountingLoop:
    """The loop as the poller sees it: it is told of polls that fail."""

    def __init__(self) -> None:
        self.failures = 0

    def work_failed(self, live: LiveJob, error: BaseException) -> None:
        self.failures += 1


def live_of(job: Job | None = None) -> LiveJob:
    return LiveJob(job or job_of(), cast("Loop", CountingLoop()))


# Slots


def test_slots_are_given_in_the_order_of_asking() -> None:
    slots, served = AdmissionSlots({Slot.STREAM: 1}), []
    assert slots.try_take(Slot.STREAM)
    for name in "abc":
        slots.wait(Slot.STREAM, name, NORMAL, lambda name=name: served.append(name))  # type: ignore[misc]
    slots.leave(Slot.STREAM, "b")
    assert not slots.try_take(Slot.STREAM)
    slots.give_back(Slot.STREAM)
    assert served == ["a"]
    slots.give_back(Slot.STREAM)
    slots.give_back(Slot.STREAM)
    assert served == ["a", "c"]
    assert slots.taken(Slot.STREAM) == 0


def test_a_free_slot_goes_to_whose_turn_it_is() -> None:
    slots, served = AdmissionSlots({Slot.CREATE: 1}), []
    assert slots.try_take(Slot.CREATE)
    for number in range(100):
        slots.wait(Slot.CREATE, number, Line("low", 0), lambda: served.append("archive"))
    slots.wait(Slot.CREATE, "other", Line("low", 1), lambda: served.append("other"))
    slots.wait(Slot.CREATE, "incident", Line("high", 0), lambda: served.append("incident"))
    for _ in range(3):
        slots.give_back(Slot.CREATE)
    assert served == ["incident", "archive", "other"]


def test_closed_slots_are_given_to_nobody() -> None:
    slots, served = AdmissionSlots({Slot.STREAM: 1}), []
    assert slots.try_take(Slot.STREAM)
    slots.wait(Slot.STREAM, "a", NORMAL, lambda: served.append("a"))
    slots.close()
    slots.give_back(Slot.STREAM)
    assert not slots.try_take(Slot.STREAM)
    assert served == []


# Poller


async def test_many_watched_jobs_cost_their_polls_only() -> None:
    polls: list[float] = []
    loop = asyncio.get_running_loop()
    began = loop.time()

    async def poll(_: LiveJob) -> float | None:
        polls.append(loop.time() - began)
        return 1_000.0 if len(polls) <= 20_000 else None

    poller = Poller(poll, at_once=64, per_second=1_000_000)
    poller.start(Supervisor(Metrics()))
    for number in range(20_000):
        poller.watch(live_of(), 10 + (number * 7919 % 20_000) / 1_000)
    await until(lambda: len(polls) == 20_000)
    await passed(900)
    assert len(polls) == 20_000
    assert polls == sorted(polls)
    assert len(poller) == 20_000
    await poller.close()


async def test_many_young_tasks_are_polled_later_rather_than_all_the_time() -> None:
    polls: list[float] = []
    loop = asyncio.get_running_loop()

    async def poll(_: LiveJob) -> float | None:
        polls.append(loop.time())
        return 2.0

    poller = Poller(poll, at_once=64, per_second=100)
    poller.start(Supervisor(Metrics()))
    for _ in range(1_000):
        poller.watch(live_of(), 1)
    await until(lambda: len(polls) == 3_000)
    assert 28 <= polls[-1] - polls[0] <= 32
    await poller.close()


async def test_a_poll_that_fails_is_repeated_and_one_that_is_forgotten_is_not() -> None:
    polls = 0

    async def poll(_: LiveJob) -> float | None:
        nonlocal polls
        polls += 1
        raise RuntimeError("a bug")

    poller = Poller(poll, at_once=1)
    poller.start(Supervisor(Metrics()))
    live = live_of()
    poller.watch(live, 1)
    await until(lambda: polls == 3)
    poller.forget(live)
    await passed(200)
    assert (polls, len(poller)) == (3, 0)
    assert cast("CountingLoop", live.loop).failures == 3
    await poller.close()


async def test_an_earlier_poll_wakes_the_poller() -> None:
    polled: list[LiveJob] = []

    async def poll(live: LiveJob) -> float | None:
        polled.append(live)
        return None

    poller = Poller(poll, at_once=1)
    poller.start(Supervisor(Metrics()))
    late, early = live_of(), live_of()
    poller.watch(late, 500)
    await settled()
    poller.watch(early, 1)
    await passed(2)
    assert polled == [early]
    await passed(500)
    assert polled == [early, late]
    await poller.close()


# Records


def test_records_carry_the_requests_key_and_ids_that_never_change() -> None:
    topics = TopicSettings()
    records = RecordBuilder(topics)
    job = job_of(key=b"cam7", attempt=3, traceparent="00-" + "1" * 32 + "-" + "2" * 16 + "-01")
    told = records.event(job, Event("interrupted", attempt=2), request_of(metadata={"a": 1}, tenant="harbour"), 1.0)
    headers = dict(told.headers)
    assert (told.topic, told.partition, told.key) == (topics.progress, 2, b"cam7")
    assert headers["ce_id"] == b"2-7-interrupted-2"
    assert headers["ce_subject"] == b"r-1"
    assert (headers["traceparent"] or b"").startswith(b"00-1111")
    assert b'"metadata":{"a":1},"tenant":"harbour"' in (told.value or b"")
    first = records.event(job, Event("canceled", {"reason": "x"}), request_of(), 1.0)
    second = records.event(job.but(attempt=4), Event("canceled", {"reason": "y"}), request_of(), 2.0)
    assert first.topic == topics.completions
    assert dict(first.headers)["ce_id"] == dict(second.headers)["ce_id"]
    assert records.event(job.but(key=None), Event("interrupted"), request_of(), 1.0).key == b"r-1"
    assert (records.tombstone(job).key, records.tombstone(job).value) == (b"r-1", None)


# Restore


@pytest.mark.parametrize("value", [b"", b"{}", b'{"v":2}', b'{"v":1,"phase":"streaming"}'])
async def test_a_job_record_that_can_not_be_read_is_told(bench: Bench, value: bytes) -> None:
    with pytest.raises(UnreadableJob):
        bench.book.restore(b"r-1", value)
    assert len(bench.book) == 0


async def test_a_job_whose_request_is_none_of_this_version_is_told(bench: Bench) -> None:
    job = job_of().but(body=b'{"type":"analyze","request_id":"r-1","mode":"dream"}')
    with pytest.raises(UnreadableJob):
        bench.book.restore(b"r-1", encode_job(job))
    assert len(bench.book) == 0


# Host


async def test_intake_opens_again_only_when_a_fifth_has_ended() -> None:
    async with Bench(jobs={"max_in_flight": 10, "max_streams": 100}) as bench:
        held = [bench.platform.hold("stream") for _ in range(10)]
        await bench.take(*(analyze(f"r-{number}", **STREAM) for number in range(10)))
        assert bench.engine.intake_closed() == "full"
        held[0].go.set()
        await bench.completed("r-0")
        assert bench.engine.intake_closed() == "full"
        held[1].go.set()
        await bench.completed("r-1")
        assert bench.engine.intake_closed() is None


async def test_intake_is_closed_while_the_platform_wants_nothing(bench: Bench) -> None:
    assert bench.engine.intake_closed() is None
    bench.platform.paused_seconds = 301
    assert bench.engine.intake_closed() == "quota"
    bench.platform.unauthorized = True
    assert bench.engine.intake_closed() == "unauthorized"
    await bench.engine.leave()
    assert bench.engine.intake_closed() == "draining"


async def test_a_process_that_leaves_begins_nothing() -> None:
    async with Bench(jobs={"max_streams": 1}) as bench:
        held = Held()
        bench.platform.streams.append(["text", held])
        await bench.take(analyze("r-1", **STREAM), analyze("r-2", **STREAM))
        await held.reached.wait()
        await bench.engine.leave()
        held.go.set()
        await bench.completed("r-1")
        await passed(50)
        assert bench.platform.count("stream") == 1


async def test_a_drain_is_over_when_its_time_is(bench: Bench) -> None:
    held = bench.platform.hold("stream")
    await bench.take(analyze(**STREAM))
    await held.reached.wait()
    await bench.engine.leave()
    await bench.let_go()
    began = bench.clock.time()
    await bench.engine.drain(25)
    assert 25 <= bench.clock.time() - began < 26
