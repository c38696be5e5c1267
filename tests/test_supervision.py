"""Background tasks that end: started again, or the end of the process; and always seen."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from service import supervision
from service.errors import ProcessError
from service.ops.health import Health
from service.supervision import MAX_FAILURES, Supervisor, end_all
from service.telemetry.metrics import Metrics

pytestmark = pytest.mark.unit


class Rig:
    """A supervisor, and what it reported."""

    def __init__(self) -> None:
        self.metrics = Metrics()
        self.reports: list[tuple[str, bool, str]] = []
        self.supervisor = Supervisor(self.metrics, self._note)
        self.starts = 0

    def _note(self, name: str, /, ok: bool, detail: str) -> None:
        self.reports.append((name, ok, detail))

    def failures(self, task: str) -> float:
        found = self.metrics.registry.get_sample_value("reelwire_background_task_failures_total", {"task": task})
        return found or 0.0


@pytest.fixture
async def rig(monkeypatch: pytest.MonkeyPatch) -> Rig:
    monkeypatch.setattr(supervision, "_FIRST_DELAY_SECONDS", 0.0)
    return Rig()


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0)


@pytest.mark.parametrize("end", ["returns", "raises", "is cancelled from inside"])
async def test_a_kept_task_that_ends_is_started_again_and_reported(rig: Rig, end: str) -> None:
    async def work() -> None:
        rig.starts += 1
        if rig.starts == 1:
            if end == "raises":
                raise ValueError("lost its way")
            if end != "returns":
                gone = asyncio.get_running_loop().create_future()
                gone.cancel()
                await gone
            return
        await asyncio.Event().wait()

    rig.supervisor.keep("tail", work)
    await until(lambda: rig.starts == 2)

    assert rig.failures("tail") == 1
    assert [(name, ok) for name, ok, _ in rig.reports] == [("task tail", False)]
    assert "tail has ended" in rig.reports[0][2]
    assert not rig.supervisor.failed.done()
    await rig.supervisor.close()


async def test_a_task_that_runs_steadily_again_is_reported_as_well(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervision, "STEADY_SECONDS", 0.01)

    async def work() -> None:
        rig.starts += 1
        if rig.starts > 1:
            await asyncio.Event().wait()

    rig.supervisor.keep("tail", work)
    await until(lambda: rig.reports[-1:] == [("task tail", True, "started again 1 times")])
    await rig.supervisor.close()


async def test_a_task_that_ends_again_and_again_ends_the_process_with_the_last_reason(rig: Rig) -> None:
    async def work() -> None:
        rig.starts += 1
        raise ValueError(f"number {rig.starts}")

    rig.supervisor.keep("tail", work)
    async with asyncio.timeout(10):
        error = await rig.supervisor.failed
    assert "tail has ended 11 times within 600 s: value error: number 11" in str(error)
    assert rig.starts == MAX_FAILURES + 1


@pytest.mark.parametrize("raises", [False, True])
async def test_the_end_of_a_vital_task_ends_the_process_at_once(rig: Rig, raises: bool) -> None:
    async def work() -> None:
        rig.starts += 1
        if raises:
            raise ValueError("no way")

    rig.supervisor.vital("poll", work)
    async with asyncio.timeout(10):
        error = await rig.supervisor.failed
    assert "poll has ended" in str(error)
    assert rig.starts == 1


async def test_a_process_error_ends_the_process_as_it_is(rig: Rig) -> None:
    async def work() -> None:
        raise ProcessError("Kafka refuses us")

    rig.supervisor.keep("poll", work)
    async with asyncio.timeout(10):
        assert str(await rig.supervisor.failed) == "Kafka refuses us"


async def test_a_task_that_is_done_is_no_failure_and_one_that_raises_is_tried_again(rig: Rig) -> None:
    async def work() -> None:
        rig.starts += 1
        if rig.starts == 1:
            raise ValueError("not yet")

    replaced = rig.supervisor.once("sender", work)
    await asyncio.wait({replaced.task}, timeout=10)
    assert rig.starts == 2
    assert [ok for _, ok, _ in rig.reports] == [False, True]
    assert not rig.supervisor.failed.done()


async def test_a_stop_is_no_failure(rig: Rig) -> None:
    async def work() -> None:
        rig.starts += 1
        await asyncio.Event().wait()

    first, _ = rig.supervisor.keep("first", work), rig.supervisor.vital("second", work)
    await until(lambda: rig.starts == 2)
    await first.stop()
    await rig.supervisor.close()
    assert rig.reports == []
    assert not rig.supervisor.failed.done()
    assert repr(rig.supervisor) == "<Supervisor, well, runs []>"


async def test_a_task_that_is_released_may_return(rig: Rig) -> None:
    done = asyncio.Event()
    one = rig.supervisor.vital("poll", done.wait)
    one.release()
    done.set()
    await one.finish(10)
    assert rig.reports == []
    assert not rig.supervisor.failed.done()


async def test_a_failed_task_shows_in_health_until_it_runs_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervision, "_FIRST_DELAY_SECONDS", 0.0)
    monkeypatch.setattr(supervision, "STEADY_SECONDS", 0.01)
    health = Health()
    health.started()
    supervisor = Supervisor(Metrics(), health.set)
    starts = 0

    async def work() -> None:
        nonlocal starts
        starts += 1
        if starts == 1:
            raise ValueError("lost its way")
        await asyncio.Event().wait()

    supervisor.keep("asset log", work)
    await until(lambda: not health.ready().ok)
    assert health.ready().body["wrong"] == ["task asset log"]
    assert "value error: lost its way" in str(health.ready().body)
    await until(lambda: health.ready().ok)
    await supervisor.close()


async def test_a_task_that_drops_a_cancellation_is_ended_all_the_same() -> None:
    dropped = 0

    async def stubborn() -> None:
        nonlocal dropped
        while True:
            try:
                await asyncio.sleep(3_600)
            except asyncio.CancelledError:
                if dropped:
                    raise
                dropped += 1

    task = asyncio.create_task(stubborn())
    await asyncio.sleep(0)
    await end_all({task})
    assert task.cancelled()
    assert dropped == 1
