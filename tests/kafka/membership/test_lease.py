from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.protocol.group import HeartbeatRequest, JoinGroupRequest, LeaveGroupRequest, SyncGroupRequest

from service.clock import SystemClock
from service.kafka.connecting.connection import client_options
from service.kafka.membership.lease import GroupLease
from service.settings import KafkaSettings
from tests.support.clock import HandClock

SESSION_SECONDS = 10.0


class Coordinator:
    """aiokafka's coordinator as far as the lease sees it; `answering` runs while a request is under way."""

    def __init__(self) -> None:
        self.error_code = 0
        self.error: Exception | None = None
        self.answering: Any = lambda: None

    async def _send_req(self, _request: Any) -> Any:
        self.answering()
        if self.error is not None:
            raise self.error
        return SimpleNamespace(error_code=self.error_code)


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def lease(clock: HandClock) -> GroupLease:
    return GroupLease(session_timeout_ms=int(SESSION_SECONDS * 1000), clock=clock)


@pytest.fixture
def coordinator(lease: GroupLease) -> Coordinator:
    coordinator = Coordinator()
    consumer: Any = SimpleNamespace(_coordinator=coordinator)
    lease.attach(consumer)
    return coordinator


HEARTBEAT = HeartbeatRequest("group", 1, "me")


def test_before_the_first_proof_there_is_no_lease(lease: GroupLease) -> None:
    assert not lease.alive()
    assert "lost" in repr(lease)


async def test_a_heartbeat_gives_the_lease_for_the_session_timeout(
    lease: GroupLease, clock: HandClock, coordinator: Coordinator
) -> None:
    await coordinator._send_req(HEARTBEAT)
    clock.now += SESSION_SECONDS - 0.01
    assert lease.alive()
    assert "alive" in repr(lease)
    clock.now += 0.02
    assert not lease.alive()


async def test_the_lease_counts_from_when_a_heartbeat_was_sent_since_the_answer_may_have_waited_for_us(
    lease: GroupLease, clock: HandClock, coordinator: Coordinator
) -> None:
    def frozen() -> None:
        clock.now += SESSION_SECONDS + 1

    coordinator.answering = frozen
    await coordinator._send_req(HEARTBEAT)
    assert not lease.alive()


async def test_what_joins_again_after_a_freeze_is_alive_but_pays_only_when_it_knows_what_is_still_its_own(
    clock: HandClock,
) -> None:
    known = True
    lease = GroupLease(session_timeout_ms=int(SESSION_SECONDS * 1000), clock=clock, confirmed=lambda: known)
    coordinator = Coordinator()
    consumer: Any = SimpleNamespace(_coordinator=coordinator)
    lease.attach(consumer)
    await coordinator._send_req(HEARTBEAT)
    assert lease.may_pay()
    clock.now += SESSION_SECONDS + 1
    assert not lease.may_pay()
    known = False
    await coordinator._send_req(JoinGroupRequest.__new__(JoinGroupRequest))
    assert lease.alive()
    assert not lease.may_pay()
    known = True
    assert lease.may_pay()


async def test_an_older_answer_does_not_shorten_the_lease(lease: GroupLease, clock: HandClock) -> None:
    lease.renewed(clock.now)
    lease.renewed(clock.now - SESSION_SECONDS)
    assert lease.alive()


@pytest.mark.parametrize(
    "request_type", [HeartbeatRequest, JoinGroupRequest, SyncGroupRequest], ids=lambda kind: kind.__name__
)
async def test_every_answer_that_knows_us_is_a_proof(
    lease: GroupLease, coordinator: Coordinator, request_type: Any
) -> None:
    await coordinator._send_req(request_type.__new__(request_type))
    assert lease.alive()


@pytest.mark.parametrize(("error_code", "alive"), [(27, True), (22, False), (25, False), (15, False), (16, False)])
async def test_a_refused_heartbeat_is_no_proof_but_a_rebalance_is(
    lease: GroupLease, coordinator: Coordinator, error_code: int, alive: bool
) -> None:
    coordinator.error_code = error_code
    await coordinator._send_req(HEARTBEAT)
    assert lease.alive() is alive


async def test_neither_a_failed_request_nor_another_kind_is_a_proof(
    lease: GroupLease, coordinator: Coordinator
) -> None:
    await coordinator._send_req(LeaveGroupRequest("group", "me"))
    coordinator.error = ConnectionError()
    with contextlib.suppress(ConnectionError):
        await coordinator._send_req(HEARTBEAT)
    assert not lease.alive()


@pytest.fixture
async def consumer(kafka: KafkaSettings) -> AsyncIterator[AIOKafkaConsumer]:
    consumer = AIOKafkaConsumer(
        **client_options(kafka),
        group_id=kafka.group_id,
        session_timeout_ms=6_000,
        heartbeat_interval_ms=100,
        auto_offset_reset="none",
        enable_auto_commit=False,
    )
    await consumer.start()
    yield consumer
    await consumer.stop()


@pytest.mark.integration
async def test_a_member_of_a_real_group_keeps_its_lease_by_heartbeats(
    consumer: AIOKafkaConsumer, make_topics: Any, prefix: str
) -> None:
    await make_topics(prefix)
    lease = GroupLease(session_timeout_ms=6_000, clock=SystemClock())
    proofs: asyncio.Queue[float] = asyncio.Queue()
    renewed = lease.renewed

    def noted(sent_at: float) -> None:
        renewed(sent_at)
        proofs.put_nowait(sent_at)

    lease.renewed = noted  # type: ignore[method-assign]
    lease.attach(consumer)
    begin = time.clock_gettime(time.CLOCK_BOOTTIME)
    consumer.subscribe([prefix])
    fetching = asyncio.create_task(consumer.getone())
    async with asyncio.timeout(30):
        times = [await proofs.get() for _ in range(6)]  # join, sync, and heartbeats
    fetching.cancel()
    await asyncio.wait({fetching})
    assert begin < times[0]
    assert times == sorted(times)
    assert lease.alive()
