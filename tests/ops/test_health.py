"""Health: what is wrong, since when, and which endpoint it turns red."""

from __future__ import annotations

import asyncio

import pytest

from service.ops.health import Health, heartbeat
from service.telemetry.metrics import Metrics
from tests.support.clock import HandClock

pytestmark = pytest.mark.unit


@pytest.fixture
def clock() -> HandClock:
    return HandClock(1_000_000_000.0)


@pytest.fixture
def health(clock: HandClock) -> Health:
    return Health(clock, stuck_seconds=30)


def test_a_process_that_has_not_started_is_live_but_neither_started_nor_ready(health: Health) -> None:
    assert health.live().ok
    assert not health.startup().ok
    assert not health.ready().ok
    assert health.ready().body["status"] == "starting"


def test_a_started_process_without_wrong_conditions_is_ready(health: Health) -> None:
    health.set("kafka", ok=True, detail="connected")
    health.started()
    assert health.startup().ok
    assert health.ready().ok


def test_a_blocking_condition_makes_it_unready_and_says_what_and_since_when(health: Health, clock: HandClock) -> None:
    health.started()
    health.set("kafka", ok=True)
    clock.now += 10
    health.set("kafka", ok=False, detail="no broker answers")
    clock.now += 10
    health.set("kafka", ok=False, detail="no broker answers, 2nd try")
    verdict = health.ready()
    assert not verdict.ok
    assert verdict.body["wrong"] == ["kafka"]
    assert verdict.body["since"] == "2001-09-09T01:46:50.000Z"
    conditions = verdict.body["conditions"]
    assert isinstance(conditions, dict)
    assert conditions["kafka"]["detail"] == "no broker answers, 2nd try"


def test_a_condition_that_does_not_block_is_shown_only(health: Health) -> None:
    health.started()
    health.set("platform", ok=False, detail="rate limited until noon", blocking=False)
    assert health.ready().ok
    assert "rate limited" in str(health.ready().body)


def test_a_process_that_drains_is_live_and_never_ready_again(health: Health) -> None:
    health.started()
    health.stopping()
    assert health.live().ok
    assert health.ready().body["status"] == "stopping"
    assert not health.ready().ok


def test_an_event_loop_that_stands_still_is_not_live(health: Health, clock: HandClock) -> None:
    health.beat(0.0)
    clock.now += 29
    assert health.live().ok
    clock.now += 2
    assert not health.live().ok
    assert "31.0 s behind" in str(health.live().body)


def test_its_repr_tells_the_condition_in_words(health: Health) -> None:
    health.started()
    health.set("kafka", ok=False, detail="no broker answers")
    assert repr(health) == "<Health failing (kafka: no broker answers)>"


async def test_the_heartbeat_measures_and_notes_the_lag_of_the_loop() -> None:
    metrics, beaten = Metrics(), asyncio.Event()

    class Noting(Health):
        def beat(self, lag_seconds: float) -> None:
            super().beat(lag_seconds)
            beaten.set()

    health = Noting()
    task = asyncio.create_task(heartbeat(health, metrics, every_seconds=0.01))
    try:
        await asyncio.wait_for(beaten.wait(), 5)
        assert health.live().ok
        assert metrics.registry.get_sample_value("reelwire_loop_lag_seconds") is not None
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
