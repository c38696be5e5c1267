"""What the operator has paused: nothing of it is begun or paid for, what runs ends, and the rest is untouched."""

from __future__ import annotations

from typing import Any

import pytest

from service.domain.change import Slot
from service.domain.job import Mode, Phase
from service.domain.shares.pauses import Pause, Scope
from service.kafka.memory_ledger import MemoryLedger
from tests.domain.builders import job_in, request_of
from tests.engine.bench import Bench, analyze, cancel
from tests.support.clock import LoopClock
from tests.support.waiting import passed, settled, until

pytestmark = pytest.mark.unit

ASYNC: dict[str, Any] = {"upload": "inline", "mode": "async"}
PAID = ("create_task", "create_batch", "analyze", "stream", "create_asset")


def set_pauses(bench: Bench, *scopes: Scope, seconds: float | None = None) -> None:
    now_ms = bench.context.now_ms()
    until_ms = None if seconds is None else now_ms + int(seconds * 1000)
    bench.context.pauses.set([Pause(scope, now_ms, until_ms) for scope in scopes])


def paid(bench: Bench) -> int:
    return sum(bench.platform.count(operation) for operation in PAID)


def waits(bench: Bench, request_id: str | None = None) -> list[str]:
    return [event["reason"] for event in bench.progress(request_id) if event["type"] == "waiting"]


@pytest.mark.parametrize(
    "members",
    [
        {"mode": "stream", "upload": "inline"},
        {"mode": "sync", "upload": "inline"},
        ASYNC,
        {"mode": "stream"},
        {"mode": "async", "batch": True, "model_name": "pegasus1.5"},
    ],
    ids=["stream", "sync", "task", "upload", "batch"],
)
async def test_nothing_is_paid_for_while_all_work_is_paused(bench: Bench, members: dict[str, Any]) -> None:
    set_pauses(bench, Scope())
    await bench.take(*(analyze(f"r-{number}", **members) for number in range(3)))
    await passed(600)
    assert paid(bench) == 0
    assert bench.told() == ["accepted"] * 3 + ["waiting"] * 3
    assert waits(bench) == ["paused"] * 3
    assert [bench.slots.taken(slot) for slot in Slot] == [0, 0]
    set_pauses(bench)
    await until(lambda: paid(bench) > 0, seconds=61)


async def test_only_the_paused_tenant_and_priority_wait(bench: Bench) -> None:
    set_pauses(bench, Scope("acme", "low"), Scope(priority="high"))
    await bench.take(
        analyze("a", tenant="acme", priority="low", **ASYNC),
        analyze("b", tenant="acme", **ASYNC),
        analyze("c", tenant="other", priority="low", **ASYNC),
        analyze("d", priority="high", **ASYNC),
    )
    await passed(60)
    created = {event["request_id"] for event in bench.progress() if event["type"] == "task_created"}
    assert created == {"b", "c"}


async def test_what_runs_ends_and_tasks_are_followed(bench: Bench) -> None:
    held = bench.platform.hold("stream")
    await bench.take(analyze("task", **ASYNC), analyze("stream", mode="stream", upload="inline"))
    await held.reached.wait()
    await until(lambda: len(bench.poller) == 1)
    set_pauses(bench, Scope())
    held.go.set()
    bench.platform.end_task("task-1")
    await until(lambda: len(bench.completions()) == 2, seconds=120)
    assert {event["type"] for event in bench.completions()} == {"completed"}


async def test_those_in_line_are_held_when_the_pause_begins_and_go_on_in_their_order() -> None:
    async with Bench(jobs={"max_streams": 1}) as bench:
        held = bench.platform.hold("stream")
        one = {"mode": "stream", "upload": "inline"}
        await bench.take(*(analyze(f"r-{number}", **one) for number in range(4)))
        await held.reached.wait()
        await passed(8)
        assert waits(bench) == ["turn"] * 3
        set_pauses(bench, Scope(tenant="other"), Scope())
        await passed(8)
        assert waits(bench) == ["turn"] * 3 + ["paused"] * 3, "a pause is a wait of its own, told once"
        held.go.set()
        await until(lambda: len(bench.completions()) == 1)
        await passed(60)
        assert bench.platform.count("stream") == 1
        set_pauses(bench, Scope(tenant="other"))
        await until(lambda: len(bench.completions()) == 4, seconds=60)
        assert [event["request_id"] for event in bench.completions()] == ["r-0", "r-1", "r-2", "r-3"]


async def test_many_that_wait_before_their_uploads_all_go_on(bench: Bench) -> None:
    set_pauses(bench, Scope())
    videos = [{"type": "url", "url": f"https://media.example.com/{number}.mp4"} for number in range(120)]
    await bench.take(*(analyze(f"r-{number}", video=video, mode="sync") for number, video in enumerate(videos)))
    await passed(60)
    assert waits(bench) == ["paused"] * 120
    set_pauses(bench)
    await until(lambda: len(bench.completions()) == 120, seconds=60)
    assert bench.platform.count("create_asset") == 120


async def test_a_pause_ends_by_itself(bench: Bench) -> None:
    set_pauses(bench, Scope(), seconds=5_000)
    await bench.take(analyze(**ASYNC))
    await passed(4_990)
    assert paid(bench) == 0
    assert bench.metrics.registry.get_sample_value("reelwire_paused", {"what": "work"}) == 1
    await until(lambda: paid(bench) == 1, seconds=11)
    assert bench.context.pauses.told() == []
    assert bench.metrics.registry.get_sample_value("reelwire_paused", {"what": "work"}) == 0


@pytest.mark.parametrize("members", [ASYNC, {"mode": "async"}], ids=["in line", "before its upload"])
async def test_a_paused_job_is_canceled_at_once(bench: Bench, members: dict[str, Any]) -> None:
    set_pauses(bench, Scope())
    await bench.take(analyze(**members))
    await passed(10)
    await bench.take(cancel())
    await until(lambda: bool(bench.completions()), seconds=1)
    assert bench.completions()[0]["type"] == "canceled"
    set_pauses(bench)
    await passed(60)
    assert paid(bench) == 0


@pytest.mark.parametrize("mode", ["stream", "sync", "async"])
async def test_an_attempt_that_was_claimed_just_before_is_not_paid_and_its_number_is_used_later(
    bench: Bench, mode: str
) -> None:
    bench.writer.held = True
    batch = await bench.prepare(bench.record(analyze(mode=mode, upload="inline")))
    durable = bench.writer.submit(batch.unit)
    bench.writer.go_once()
    await durable
    await batch.durable()
    await settled()  # the claim is on its way
    set_pauses(bench, Scope())
    bench.writer.go()
    await passed(60)
    assert paid(bench) == 0
    assert [bench.slots.taken(slot) for slot in Slot] == [0, 0]
    set_pauses(bench)
    if mode == "async":
        await until(lambda: len(bench.poller) == 1, seconds=5)
        bench.platform.end_task("task-1")
    await until(lambda: bool(bench.completions()), seconds=120)
    assert bench.completions()[0]["attempt"] == 1
    assert paid(bench) == 1


async def test_a_claimed_creation_that_is_canceled_while_paused_ends_without_a_task(bench: Bench) -> None:
    bench.writer.held = True
    batch = await bench.prepare(bench.record(analyze(**ASYNC)))
    durable = bench.writer.submit(batch.unit)
    bench.writer.go_once()
    await durable
    await batch.durable()
    await settled()
    set_pauses(bench, Scope())
    bench.writer.go()
    await passed(10)
    assert waits(bench) == ["paused"]
    await bench.take(cancel())
    await until(lambda: bool(bench.completions()), seconds=10)
    assert (bench.completions()[0]["type"], paid(bench)) == ("canceled", 0)


async def test_a_task_that_a_crash_left_in_doubt_is_looked_for_and_followed_in_spite_of_a_pause(bench: Bench) -> None:
    request = request_of(request_id="r-1", mode="async", upload="inline")
    await bench.take(analyze(**ASYNC))
    await until(lambda: len(bench.poller) == 1)
    set_pauses(bench, Scope())
    bench.writer.fence()
    await bench.book.close()
    bench.open()
    job = job_in(Phase.CREATING, request, mode=Mode.ASYNC, attempt=1, partition=0, offset=0, key=b"cam7")
    await bench.restore(job.but(attempt_started_ms=bench.context.now_ms()))
    await until(lambda: len(bench.poller) == 1, seconds=60)
    assert bench.platform.count("create_task") == 1, "it was found, not made again"


async def test_a_paused_upload_lets_go_of_its_claim_so_that_others_may_upload_the_same_video(bench: Bench) -> None:
    held = bench.platform.hold("find_assets")
    await bench.take(analyze("a", tenant="acme"))
    await held.reached.wait()
    set_pauses(bench, Scope(tenant="acme"))
    held.go.set()
    await passed(1)
    assert bench.platform.count("create_asset") == 0
    await bench.take(analyze("b", tenant="other"))
    await until(lambda: bool(bench.completions("b")), seconds=60)
    assert bench.platform.count("create_asset") == 1
    set_pauses(bench)
    await until(lambda: bool(bench.completions("a")), seconds=60)
    assert bench.platform.count("create_asset") == 1


async def test_a_batch_is_made_without_what_was_paused_meanwhile(bench: Bench) -> None:
    members: dict[str, Any] = {"mode": "async", "batch": True, "model_name": "pegasus1.5"}
    tenants = ["acme" if number % 2 else "other" for number in range(6)]
    await bench.take(*(analyze(f"r-{number}", tenant=tenant, **members) for number, tenant in enumerate(tenants)))
    await passed(10)
    set_pauses(bench, Scope(tenant="acme"))
    await until(lambda: len(bench.poller) == 3, seconds=120)
    await passed(300)
    (names,) = [seen.details["names"] for seen in bench.platform.calls if seen.operation == "create_batch"]
    assert len(names) == 3
    set_pauses(bench)
    await until(lambda: len(bench.poller) == 6, seconds=120)
    assert bench.platform.count("create_task") == 0


async def test_a_paused_intake_takes_no_requests_and_leaves_the_work_alone(bench: Bench) -> None:
    set_pauses(bench, Scope(intake=True))
    assert bench.engine.intake_closed() == "paused"
    await bench.take(analyze(**ASYNC))
    await until(lambda: len(bench.poller) == 1, seconds=5)
    set_pauses(bench)
    assert bench.engine.intake_closed() is None


@pytest.mark.parametrize("mode", ["stream", "sync", "async"])
async def test_money_that_was_reserved_just_before_a_pause_is_reserved_once_and_spent_once(mode: str) -> None:
    ledger = MemoryLedger(LoopClock())
    cost = {"per_minute": 0.01, "currency": "USD", "daily_limit": 0.15}
    async with Bench(cost=cost, ledger=ledger) as bench:
        bench.writer.held = True
        body = analyze(mode=mode, upload="inline", start_time=0, end_time=600)
        batch = await bench.prepare(bench.record(body))
        durable = bench.writer.submit(batch.unit)
        bench.writer.go_once()
        await durable
        await batch.durable()
        await settled()
        bench.writer.go_once()  # it is ready: money is reserved, and the claim is on its way
        await settled()
        assert ledger.spent_today() == 100_000
        set_pauses(bench, Scope())
        bench.writer.go()
        await passed(60)
        assert paid(bench) == 0
        set_pauses(bench)
        if mode == "async":
            await until(lambda: len(bench.poller) == 1, seconds=5)
            bench.platform.end_task("task-1")
        await until(lambda: bool(bench.completions()), seconds=120)
        assert (bench.completions()[0]["type"], bench.completions()[0]["attempt"]) == ("completed", 1)
        assert ledger.spent_today() == 100_000
