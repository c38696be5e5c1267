"""A job that waits holds no slot, whatever it waits for; and every wait on the platform has an end."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from service.domain.change import Slot
from tests.engine.bench import Bench, analyze, cancel
from tests.engine.fake_platform import (
    Held,
    not_sent,
    rate_limited,
    rejected,
    server_failed,
    unauthorized,
    unknown,
)
from tests.support.waiting import passed, settled, until

pytestmark = pytest.mark.unit

ASYNC: dict[str, Any] = {"upload": "inline", "mode": "async"}
SYNC: dict[str, Any] = {"upload": "inline", "mode": "sync"}
STREAM: dict[str, Any] = {"upload": "inline", "mode": "stream"}


async def other_task_is_created(bench: Bench) -> None:
    """While the jobs before it wait, a good one gets through."""
    bench.platform.always("create_task", None)
    bench.platform.always("find_task", None)
    await bench.take(analyze("good", **ASYNC))
    await until(lambda: "watching" in bench.phases("good"), seconds=60)


@pytest.mark.parametrize("failure", [server_failed, rate_limited, not_sent, unauthorized, unknown])
async def test_creations_that_wait_do_not_stop_others(failure: Any) -> None:
    async with Bench(jobs={"max_creates": 4, "retry_initial_seconds": 50}) as bench:
        bench.platform.always("create_task", failure)
        await bench.take(*(analyze(f"r-{number}", **ASYNC) for number in range(8)))
        await until(lambda: bench.told().count("retrying") >= 4)
        await passed(5)
        await other_task_is_created(bench)


async def test_creations_that_fail_by_an_error_of_ours_end_and_stop_nothing_else() -> None:
    async with Bench(jobs={"max_creates": 2}) as bench:
        bench.platform.always("create_task", lambda: TypeError("Integer exceeds 64-bit range"))
        await bench.take(*(analyze(f"r-{number}", **ASYNC) for number in range(6)))
        for number in range(6):
            assert (await bench.completed(f"r-{number}"))["error"]["code"] == "internal_error"
        await other_task_is_created(bench)


async def test_work_that_others_cancel_has_failed_and_the_job_goes_on(bench: Bench) -> None:
    held = bench.platform.hold("create_task")
    await bench.take(analyze(**ASYNC))
    await held.reached.wait()
    [work] = [task for task in asyncio.all_tasks() if task.get_name() == "r-1"]
    work.cancel()
    await until(lambda: "watching" in bench.phases(), seconds=60)
    assert "retrying" in bench.told()
    assert len(bench.platform.tasks) == 1


async def test_work_that_always_fails_ends_also_when_the_process_restarts_each_time(bench: Bench) -> None:
    bench.platform.always("find_assets", lambda: RuntimeError("a bug"))
    await bench.take(analyze())
    for failures in range(1, bench.settings.jobs.max_attempts):
        await until(lambda failures=failures: bench.live().job.work_failures == failures)  # type: ignore[misc]
        await settled()
        await bench.crash()
    assert (await bench.completed())["error"]["code"] == "internal_error"


@pytest.mark.parametrize("mode", ["stream", "sync"])
async def test_a_closed_gate_is_waited_for_without_a_slot(bench: Bench, mode: str) -> None:
    bench.platform.paused_seconds = 500
    await bench.take(analyze(upload="inline", mode=mode))
    await passed(100)
    assert bench.slots.taken(Slot.STREAM) == 0
    assert bench.platform.calls == []
    bench.platform.paused_seconds = 0
    assert (await bench.completed())["attempt"] == 1


async def test_a_gate_that_never_opens_ends_the_job_in_every_mode() -> None:
    async with Bench(jobs={"task_patience_seconds": 3_000}) as bench:
        bench.platform.paused_seconds = 1e9
        await bench.take(analyze("a", **STREAM), analyze("b", **SYNC), analyze("c", **ASYNC))
        for request_id in "abc":
            assert (await bench.completed(request_id))["error"]["code"] == "platform_unavailable"
        assert bench.platform.calls == []


@pytest.mark.parametrize("failure", [rate_limited, not_sent, unauthorized])
@pytest.mark.parametrize("operation", ["find_assets", "create_asset", "get_asset", "stream"])
async def test_what_costs_nothing_is_waited_for_a_day_and_no_longer(bench: Bench, operation: str, failure: Any) -> None:
    bench.platform.always(operation, failure)
    await bench.take(analyze(mode="stream"))
    await passed(80_000)
    assert bench.completions() == []
    await passed(10_000)
    assert (await bench.completed())["error"]["code"] in ("platform_unavailable", "upload_failed")


async def test_a_wish_of_years_is_not_waited_for(bench: Bench) -> None:
    bench.platform.always("create_task", lambda: rate_limited(1e10))
    await bench.take(analyze(**ASYNC))
    await passed(90_000)
    assert (await bench.completed())["error"]["code"] == "platform_unavailable"


@pytest.mark.parametrize("code", ["api_not_allowed", "api_allowed_for_paid_plan"])
@pytest.mark.parametrize("options", [STREAM, SYNC, ASYNC])
async def test_a_refusal_meant_for_one_request_ends_that_request(
    bench: Bench, options: dict[str, Any], code: str
) -> None:
    operation = {"stream": "stream", "sync": "analyze", "async": "create_task"}[options["mode"]]
    bench.platform.script(operation, rejected(403, code))
    await bench.take(analyze(**options))
    error = (await bench.completed())["error"]
    assert (error["code"], error["platform"]["code"]) == ("rejected", code)
    assert bench.engine.intake_closed() is None


async def test_a_lease_in_doubt_is_waited_for_without_a_slot(bench: Bench) -> None:
    bench.lease.on = False
    await bench.take(analyze("a", **SYNC), analyze("b", **ASYNC))
    await passed(5)
    assert [bench.slots.taken(slot) for slot in Slot] == [0, 0]
    assert bench.platform.calls == []
    bench.lease.on = True
    await bench.completed("a")
    await until(lambda: bench.platform.tasks)


async def _waits_for_the_slot_of_another(bench: Bench) -> Held:
    """The creation of "a" has failed once and waits for the only slot, which the creation of "b" holds."""
    bench.platform.script("create_task", server_failed())
    await bench.take(analyze("a", **ASYNC))
    await until(lambda: bench.told("a").count("retrying") == 1)
    await passed(3)
    held = bench.platform.hold("create_task")
    await bench.take(analyze("b", **ASYNC))
    await held.reached.wait()
    await passed(60)
    return held


async def test_work_that_waits_gets_its_slot_back_before_it_calls_again() -> None:
    async with Bench(jobs={"max_creates": 1, "retry_initial_seconds": 10}) as bench:
        held = await _waits_for_the_slot_of_another(bench)
        assert bench.platform.count("create_task") == 2  # "a" waits for the slot that "b" has
        held.go.set()
        await until(lambda: bench.phases("a")[-1] == "watching")


async def test_a_cancel_reaches_a_creation_that_waits_for_its_slot() -> None:
    async with Bench(jobs={"max_creates": 1, "retry_initial_seconds": 10}) as bench:
        held = await _waits_for_the_slot_of_another(bench)
        await bench.take(cancel("a"))
        assert (await bench.completed("a"))["type"] == "canceled"
        held.go.set()
        await until(lambda: bench.phases("b")[-1] == "watching")


async def test_a_cancel_reaches_a_restored_creation_that_waits_for_a_slot() -> None:
    async with Bench(jobs={"max_creates": 1}) as bench:
        held = [bench.platform.hold("create_task"), Held()]
        await bench.take(analyze("a", **ASYNC))
        await held[0].reached.wait()
        await bench.crash()
        again = bench.platform.hold("create_task")
        await again.reached.wait()
        await bench.take(analyze("b", **ASYNC))
        await until(lambda: bench.phases("b")[-1] == "ready")
        await bench.take(cancel("b"))
        assert (await bench.completed("b"))["type"] == "canceled"
        again.go.set()
        await until(lambda: bench.phases("a")[-1] == "watching")


def order(bench: Bench, event: str) -> list[str]:
    """The requests in the order in which they came to this event."""
    return [told["request_id"] for told in bench.progress() if told["type"] == event]


def archive_video(number: int) -> dict[str, Any]:
    video = {"type": "url", "url": f"https://media.example.com/{number}.mp4"}
    return analyze(f"archive-{number}", priority="low", video=video)


async def test_an_incident_overtakes_an_archive_that_waits_for_slots() -> None:
    async with Bench(jobs={"max_creates": 1}) as bench:
        held = bench.platform.hold("create_task")
        await bench.take(analyze("first", **ASYNC))
        await held.reached.wait()
        await bench.take(*(analyze(f"archive-{number}", priority="low", **ASYNC) for number in range(50)))
        await bench.take(analyze("incident", priority="high", **ASYNC))
        await settled()
        held.go.set()
        await until(lambda: len(order(bench, "task_created")) == 52, seconds=60)
        assert order(bench, "task_created").index("incident") <= 2


async def test_an_incident_overtakes_an_archive_that_is_uploaded() -> None:
    async with Bench(platform_settings={"max_uploads": 1}) as bench:
        first, second = bench.platform.hold("find_assets"), bench.platform.hold("find_assets")
        await bench.take(*(archive_video(number) for number in range(20)))
        await second.reached.wait()
        await bench.take(archive_video(20) | {"request_id": "incident", "priority": "high"})
        await settled()
        first.go.set()
        second.go.set()
        await until(lambda: len(order(bench, "uploading")) == 21, seconds=60)
        assert order(bench, "uploading").index("incident") <= 3


async def test_what_is_urgent_goes_on_first_after_a_restart() -> None:
    async with Bench(jobs={"max_creates": 1}) as bench:
        bench.platform.hold("create_task")
        await bench.take(*(analyze(f"archive-{number}", priority="low", **ASYNC) for number in range(10)))
        await bench.take(analyze("incident", priority="high", **ASYNC))
        await settled()
        await bench.crash()
        await until(lambda: len(order(bench, "task_created")) == 11, seconds=120)
        assert order(bench, "task_created").index("incident") <= 2
