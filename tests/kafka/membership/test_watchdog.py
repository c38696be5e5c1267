from __future__ import annotations

import asyncio
import threading
import time

import pytest

from service.errors import ProcessError
from service.kafka.membership.watchdog import EXIT_BLOCKED, LoopWatch, Progress
from service.settings import KafkaSettings
from service.telemetry.metrics import Metrics

pytestmark = pytest.mark.unit

SETTINGS = KafkaSettings()


def _looks(*looks: tuple[float, int | None, int, int, int]) -> str | None:
    last: Progress | None = None
    for now, position, end, durable, backlog in looks:
        last = Progress.following(last, now, position=position, end=end, durable=durable, backlog=backlog)
    assert last is not None
    return last.stalled(looks[-1][0], SETTINGS)


def test_a_fetcher_that_stands_still_before_waiting_records_is_dead() -> None:
    reason = _looks((0, 5, 9, 5, 0), (40, 5, 9, 5, 0), (80, 5, 9, 5, 0))
    assert reason == "4 records wait and none was fetched for 80 s: the fetcher is dead"


def test_a_fetcher_that_moves_or_has_nothing_to_fetch_or_is_paused_is_alive() -> None:
    assert _looks((0, 5, 9, 5, 0), (70, 6, 9, 5, 0), (140, 7, 9, 5, 0)) is None
    assert _looks((0, 9, 9, 9, 0), (200, 9, 9, 9, 0)) is None
    assert _looks((0, None, 9, 5, 0), (200, None, 9, 5, 0)) is None


def test_records_that_wait_only_since_now_are_no_sign_of_a_dead_fetcher() -> None:
    assert _looks((0, 9, 9, 9, 0), (200, 9, 12, 9, 0), (205, 9, 12, 9, 0)) is None


def test_a_writer_that_makes_nothing_durable_for_long_is_stuck() -> None:
    reason = _looks((0, None, 9, 5, 3), (100, None, 9, 5, 4), (160, None, 9, 5, 4))
    assert reason == "4 records were taken in and none became durable for 160 s"


def test_a_writer_that_makes_something_durable_or_has_nothing_to_write_is_fine() -> None:
    assert _looks((0, None, 9, 5, 3), (100, None, 9, 6, 3), (200, None, 9, 7, 3)) is None
    assert _looks((0, None, 9, 5, 0), (100, None, 9, 5, 0), (200, None, 9, 5, 2)) is None


def test_a_loop_that_is_late_for_long_ends_the_process_and_one_late_moment_does_not() -> None:
    watch = LoopWatch(Metrics())
    watch.note(500.0)  # the whole process was stopped for a while
    for _ in range(59):
        watch.note(0.0)
    for _ in range(59):
        watch.note(3.0)
    with pytest.raises(ProcessError, match="late by at least 3"):
        watch.note(3.0)


async def test_it_measures_how_late_the_loop_is() -> None:
    metrics = Metrics()
    task = asyncio.create_task(LoopWatch(metrics, tick_seconds=0.01).run())
    await asyncio.sleep(0)
    time.sleep(0.2)  # noqa: ASYNC251 — this is the lag
    async with asyncio.timeout(10):
        while (metrics.registry.get_sample_value("reelwire_loop_lag_seconds") or 0) < 0.1:
            await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait({task})


async def test_a_loop_that_is_blocked_for_good_ends_the_process_from_a_thread() -> None:
    ended = threading.Event()
    codes: list[int] = []

    def leave(code: int) -> None:
        codes.append(code)
        ended.set()

    task = asyncio.create_task(LoopWatch(Metrics(), exit_process=leave, tick_seconds=0.005).run())
    await asyncio.sleep(0)
    assert ended.wait(30)  # blocks the loop until the thread has noticed
    assert codes == [EXIT_BLOCKED]
    task.cancel()
    await asyncio.wait({task})
