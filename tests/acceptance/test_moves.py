"""Partitions move while streams and calls are under way: an orderly move costs nothing, whoever dies only its own."""

from __future__ import annotations

import asyncio
import signal
import time
from typing import Any

import pytest

from contracts.topics import Role
from service.sandbox.program import Program
from tests.harness.evidence import Record
from tests.harness.observer import Observer
from tests.harness.stage import Stage
from tests.kafka.moving_broker import MovingBroker

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(240)]

DRAIN = {"REELWIRE_SHUTDOWN__DRAIN_SECONDS": "60"}
SLOW = "[[emulate: fragments=160 interval_ms=50]]"  # 8 s
SLOWER = "[[emulate: fragments=240 interval_ms=100]]"  # 24 s
STREAMS = 6


@pytest.fixture
def own(make_own_stage: Any) -> Stage:
    """A stage without a service yet."""
    made: Stage = make_own_stage(DRAIN, serve=False, partitions=4)
    return made


async def _streams(
    stage: Stage, count: int = STREAMS, how: str = SLOW, mode: str = "stream", key: str | None = None
) -> list[str]:
    """Send requests that last; returns their ids."""
    clip, names = stage.clip(), [stage.name(mode) for _ in range(count)]
    await stage.request_producer.send_all(
        *(stage.analyze(name, clip, mode=mode) | {"prompt": f"{name}: slowly {how}"} for name in names), key=key
    )
    return names


async def _under_way(observer: Observer, names: list[str], more_than: int = 3) -> None:
    await observer.until(lambda: all(len(observer.fragments[name, 1]) > more_than for name in names), "fragments")


async def _move(stage: Stage, old: str, new: str) -> Program:
    """An orderly restart: SIGTERM, and the next process is started at once. Returns the one that drains."""
    draining = stage.system.service(old)
    draining.send(signal.SIGTERM)
    await stage.until_said("group_left", name=old)
    await stage.system.serve(new)
    return draining


async def _paid_once(stage: Stage, observer: Observer, names: list[str]) -> None:
    ends = {name: observer.completion(name) or {} for name in names}
    assert {(end["type"], end["attempt"]) for end in ends.values()} == {("completed", 1)}
    assert [len(await stage.billable(name)) for name in names] == [1] * len(names)
    assert all(not observer.events(name, "interrupted") for name in names)


async def test_an_orderly_restart_cuts_nothing_for_readers_of_either_isolation(own: Stage) -> None:
    await own.system.serve("a")
    names = await _streams(own)
    async with own.watching() as observer, Observer(own.system.settings(), "read_uncommitted") as other:
        await _under_way(observer, names)
        draining = await _move(own, "a", "b")
        await own.until_page("health/ready", lambda page: page[0] == 503 and "attempts of partitions" in page[1], "a")
        await observer.until_ended(names)
        await _paid_once(own, observer, names)
        assert any(observer.events(name, "handed_over") for name in names)
        await other.until_ended(names)
        for name in names:
            sequences = [record.body["sequence"] for record in other.fragments[name, 1]]
            assert sequences == list(range(len(sequences)))
    assert await asyncio.wait_for(draining.ended(), 30) == 0
    assert own.system.service("a").said("drained")[-1]["given_up"] == 0
    assert await own.broken_promises() == []


async def test_a_restart_among_several_processes_cuts_none_of_their_streams(own: Stage) -> None:
    for name in ("a", "b", "c"):
        await own.system.serve(name)
    names = await _streams(own, 12)
    async with own.watching() as observer:
        await _under_way(observer, names)
        await _move(own, "a", "d")
        await observer.until_ended(names)
        await _paid_once(own, observer, names)
    assert await own.broken_promises() == []


async def test_synchronous_calls_are_carried_as_well(own: Stage) -> None:
    await own.system.pace(sync_seconds=8)
    await own.system.serve("a")
    names = await _streams(own, mode="sync", how="")
    async with own.watching() as observer:
        await own.until_stats(lambda stats: len(stats["posts"]) >= len(names))
        await _move(own, "a", "b")
        await observer.until_ended(names)
        await _paid_once(own, observer, names)
    await own.system.pace(sync_seconds=0.05)
    assert await own.broken_promises() == []


async def test_a_chain_of_three_owners_and_an_owner_that_is_killed_while_it_waits(own: Stage) -> None:
    await own.system.serve("a")
    names = await _streams(own, how=SLOWER)
    async with own.watching() as observer:
        await _under_way(observer, names)
        await _move(own, "a", "b")
        await _move(own, "b", "c")
        await own.system.service("c").kill()
        await own.system.serve("d")
        await observer.until_ended(names, seconds=60)
        await _paid_once(own, observer, names)
    assert await own.broken_promises() == []


async def test_a_carrier_that_is_killed_loses_its_own_streams_alone(own: Stage) -> None:
    await own.system.serve("a")
    names = await _streams(own, how=SLOWER)
    async with own.watching() as observer:
        await _under_way(observer, names)
        await _move(own, "a", "b")
        others = await _streams(own)
        await _under_way(observer, others)
        loop = asyncio.get_running_loop()
        await own.system.service("a").kill()
        killed = loop.time()
        await observer.until(lambda: all(observer.fragments[name, 2] for name in names), "the second attempts")
        assert loop.time() - killed < 12
        await observer.until_ended([*names, *others], seconds=60)
        assert {(observer.completion(name) or {})["attempt"] for name in names} == {2}
        await _paid_once(own, observer, others)
    assert await own.broken_promises() == []


async def test_nothing_counts_of_a_carrier_that_was_frozen_past_its_word(own: Stage) -> None:
    await own.system.serve("a")
    names = await _streams(own, how=SLOWER)
    async with own.watching() as observer:
        await _under_way(observer, names)
        carrier = await _move(own, "a", "b")
        carrier.send(signal.SIGSTOP)
        await observer.until(lambda: all(observer.fragments[name, 2] for name in names), "the second attempts")
        thawed_ms = time.time_ns() // 1_000_000
        carrier.send(signal.SIGCONT)
        assert await asyncio.wait_for(carrier.ended(), 60) == 0
        await observer.until_ended(names, seconds=60)
        assert {(observer.completion(name) or {})["attempt"] for name in names} == {2}
        _one_request_at_most(thawed_ms, [record for name in names for record in _late(observer, name)])
    assert await own.broken_promises() == []


def _late(observer: Observer, name: str) -> list[Record]:
    """The fragments of the first attempt that stand behind the begin of the second."""
    second = min(record.offset for record in observer.fragments[name, 2])
    return [record for record in observer.fragments[name, 1] if record.offset > second]


def _one_request_at_most(thawed_ms: int, late: list[Record]) -> None:
    """A process may be frozen when it has asked whether a request may leave, before that reaches the socket.

    What it asks for once it goes on is refused. So what comes late is from before, and from one request: one batch
    for each partition, and the records of a batch stand side by side.
    """
    assert all(record.timestamp_ms < thawed_ms for record in late)
    places: dict[int, list[int]] = {}
    for record in late:
        places.setdefault(record.partition, []).append(record.offset)
    assert all(max(offsets) - min(offsets) < len(offsets) for offsets in places.values())


async def test_a_canceled_request_is_canceled_where_it_is_carried(own: Stage) -> None:
    await own.system.serve("a")
    names = await _streams(own, how=SLOWER, key="cam7")
    async with own.watching() as observer:
        await _under_way(observer, names)
        carrier = await _move(own, "a", "b")
        for name in names:
            await own.request_producer.send({"type": "cancel", "request_id": name}, key="cam7")
        await observer.until_ended(names)
        assert {(observer.completion(name) or {})["type"] for name in names} == {"canceled"}
        assert await asyncio.wait_for(carrier.ended(), 60) == 0  # nothing is left to be carried
    assert await own.broken_promises() == []


async def test_a_result_that_is_larger_than_a_record_is_handed_over_in_parts(make_own_stage: Any) -> None:
    stage: Stage = make_own_stage(DRAIN, serve=False)
    await stage.limit(Role.HANDOVERS, 8_192)
    await stage.system.serve("a")
    names = await _streams(stage, 2, how="[[emulate: fragments=160 interval_ms=50 characters=60000]]")
    async with stage.watching() as observer:
        await _under_way(observer, names)
        await _move(stage, "a", "b")
        await observer.until_ended(names)
        await _paid_once(stage, observer, names)
        assert min(len((observer.completion(name) or {})["text"]) for name in names) > 2 * 8_000
    assert await stage.broken_promises() == []


async def test_what_outlasts_the_drain_begins_again_at_once(own: Stage) -> None:
    await own.system.serve("a", REELWIRE_SHUTDOWN__DRAIN_SECONDS="3")
    names = await _streams(own, how=SLOWER)
    async with own.watching() as observer:
        await _under_way(observer, names)
        carrier = await _move(own, "a", "b")
        assert await asyncio.wait_for(carrier.ended(), 60) == 0
        await observer.until_ended(names, seconds=60)
        assert {(observer.completion(name) or {})["attempt"] for name in names} == {2}
    assert await own.broken_promises() == []


async def test_a_broker_that_is_away_costs_nothing(tmp_path: Any, make_own_stage: Any) -> None:
    async with MovingBroker(tmp_path / "broker") as broker:
        stage: Stage = await asyncio.to_thread(
            make_own_stage, {"REELWIRE_KAFKA__SESSION_TIMEOUT_MS": "6000"}, bootstrap_servers=broker.bootstrap_servers
        )
        names = await _streams(stage, 8, how=SLOWER)
        async with stage.watching() as observer:
            await _under_way(observer, names)
        broker.kill()
        await stage.until_page("health/ready", lambda page: page[0] == 503)
        await asyncio.sleep(30)  # the outage itself
        await broker.come_back_elsewhere()
        observer = await stage.ended(*names, seconds=90)
        await _paid_once(stage, observer, names)
        assert await stage.broken_promises() == []


async def test_a_process_that_is_told_to_stop_while_no_broker_answers_leaves_when_one_does(
    tmp_path: Any, make_stage: Any
) -> None:
    async with MovingBroker(tmp_path / "broker") as broker:
        stage: Stage = await asyncio.to_thread(
            make_stage, DRAIN, serve=False, partitions=2, bootstrap_servers=broker.bootstrap_servers
        )
        await stage.system.serve("a")
        names = await _streams(stage, 4, how=SLOW.replace("50]", "90]"))  # 14 s
        async with stage.watching() as observer:
            await _under_way(observer, names)
        broker.kill()
        draining = stage.system.service("a")
        draining.send(signal.SIGTERM)
        await stage.until_said("service_stopping", name="a")
        await broker.come_back_elsewhere()
        await stage.until_said("group_left", name="a")
        await stage.system.serve("b")
        observer = await stage.ended(*names, seconds=60)
        await _paid_once(stage, observer, names)
        assert await asyncio.wait_for(draining.ended(), 60) == 0
        assert await stage.broken_promises() == []
