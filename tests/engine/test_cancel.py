"""Cancel in every phase: one completion, nothing created or paid for after it, the task canceled on the platform."""

from __future__ import annotations

from typing import Any

import pytest

from service.domain.change import Slot
from tests.engine.bench import Bench, analyze, cancel
from tests.engine.fake_platform import After, not_found, rejected, server_failed, unknown
from tests.support.waiting import passed, settled, until

pytestmark = pytest.mark.unit

ASYNC: dict[str, Any] = {"upload": "inline", "mode": "async"}
STREAM: dict[str, Any] = {"upload": "inline", "mode": "stream"}


async def canceled(bench: Bench) -> str:
    completion = await bench.completed()
    assert completion["type"] == "canceled"
    assert all(task.ended for task in bench.platform.tasks.values()), "a task is left running"
    await passed(100)
    assert len(bench.completions()) == 1
    return str(completion["reason"])


async def test_in_the_batch_of_its_request(bench: Bench) -> None:
    await bench.take(analyze(**STREAM), cancel())
    await canceled(bench)
    assert bench.platform.calls == []
    assert bench.phases() == ["accepted", "accepted", "ended"]


async def test_in_the_batch_of_its_request_just_before_a_crash(bench: Bench) -> None:
    batch = await bench.prepare(bench.record(analyze(**STREAM)), bench.record(cancel()))
    await bench.writer.submit(batch.unit)
    await bench.crash()
    await canceled(bench)
    assert bench.platform.calls == []


async def test_twice(bench: Bench) -> None:
    held = bench.platform.hold("stream")
    await bench.take(analyze(**STREAM))
    await held.reached.wait()
    await bench.take(cancel(), cancel())
    await canceled(bench)
    await bench.take(cancel(tenant="acme", metadata={"by": "me"}))
    ignored = [event for event in bench.progress() if event["type"] == "cancel_ignored"]
    assert [(event["reason"], event["tenant"], event["metadata"]) for event in ignored] == [
        ("finished", None, None),
        ("finished", "acme", {"by": "me"}),
    ]


@pytest.mark.parametrize("operation", ["find_assets", "create_asset", "get_asset"])
async def test_while_the_video_is_brought_releases_the_claim(bench: Bench, operation: str) -> None:
    held = bench.platform.hold(operation)
    await bench.take(analyze())
    await held.reached.wait()
    await bench.take(cancel())
    await canceled(bench)
    assert held.left
    claims = [r for p in (0, 1) for r in bench.log.read(bench.settings.topics.assets, p)]
    assert claims[0].value is not None
    assert (claims[-1].key, claims[-1].value) == (claims[0].key, None)
    await bench.take(analyze("r-2", mode="stream"))
    assert (await bench.completed("r-2"))["type"] == "completed"


@pytest.mark.parametrize(("mode", "operation"), [("stream", "stream"), ("sync", "analyze")])
async def test_while_an_attempt_runs_cuts_it(bench: Bench, mode: str, operation: str) -> None:
    held = bench.platform.hold(operation)
    await bench.take(analyze(upload="inline", mode=mode))
    await held.reached.wait()
    await bench.take(cancel())
    await canceled(bench)
    assert held.left
    assert bench.platform.count(operation) == 1


async def test_while_it_waits_for_a_slot() -> None:
    async with Bench(jobs={"max_streams": 1}) as bench:
        held = bench.platform.hold("stream")
        await bench.take(analyze("r-0", **STREAM), analyze("r-1", **STREAM))
        await held.reached.wait()
        await until(lambda: bench.phases() == ["accepted", "ready"])
        await bench.take(cancel())
        await until(lambda: bench.completions("r-1"))
        held.go.set()
        await bench.completed("r-0")
        assert bench.platform.count("stream") == 1


async def test_while_it_waits_to_try_again(bench: Bench) -> None:
    bench.platform.script("stream", server_failed())
    await bench.take(analyze(**STREAM))
    await until(lambda: "retrying" in bench.told())
    await bench.take(cancel())
    await canceled(bench)
    assert bench.platform.count("stream") == 1


@pytest.mark.parametrize("options", [STREAM, ASYNC, {"upload": "inline", "mode": "sync"}])
async def test_while_its_claim_is_written_nothing_is_paid_for(bench: Bench, options: dict[str, Any]) -> None:
    batch = await bench.prepare(bench.record(analyze(**options)))
    await bench.writer.submit(batch.unit)
    bench.writer.held = True
    await batch.durable()
    await settled()
    assert bench.live().job.attempt == 1
    later = await bench.prepare(bench.record(cancel()))
    durable = bench.writer.submit(later.unit)
    bench.writer.go()
    await durable
    await later.durable()
    await canceled(bench)
    assert bench.platform.calls == []


async def test_while_its_claim_is_durable_and_the_cancel_is_not_the_task_is_canceled(bench: Bench) -> None:
    held = bench.platform.hold("create_task")
    await bench.take(analyze(**ASYNC))
    await held.reached.wait()
    bench.writer.held = True
    later = await bench.prepare(bench.record(cancel()))
    durable = bench.writer.submit(later.unit)
    held.go.set()
    await settled()
    assert bench.platform.count("cancel_task") == 0
    bench.writer.go()
    await durable
    await later.durable()
    assert await canceled(bench) == "canceled by request"
    assert bench.platform.tasks["task-1"].status == "canceled"


async def test_while_the_creation_is_in_doubt_the_task_is_looked_for(bench: Bench) -> None:
    bench.platform.script("create_task", After(unknown()))
    find = bench.platform.hold("find_task")
    await bench.take(analyze(**ASYNC))
    await find.reached.wait()
    await bench.take(cancel())
    find.go.set()
    await canceled(bench)
    assert bench.platform.tasks["task-1"].status == "canceled"
    assert bench.platform.count("create_task") == 1


async def test_while_the_creation_waits_to_try_again_no_task_is_created(bench: Bench) -> None:
    bench.platform.script("create_task", server_failed())
    await bench.take(analyze(**ASYNC))
    await until(lambda: "retrying" in bench.told())
    await bench.take(cancel())
    await canceled(bench)
    assert bench.platform.count("create_task") == 1


async def test_while_a_task_is_watched(bench: Bench) -> None:
    await bench.take(analyze(**ASYNC))
    await until(lambda: len(bench.poller) == 1)
    await bench.take(cancel())
    await canceled(bench)
    assert bench.phases()[-2:] == ["canceling", "ended"]
    assert len(bench.poller) == 0


async def test_while_a_poll_of_the_task_is_under_way_its_result_comes_too_late(bench: Bench) -> None:
    look = bench.platform.hold("get_task")
    await bench.take(analyze(**ASYNC))
    await look.reached.wait()
    cancelling = bench.platform.hold("cancel_task")
    await bench.take(cancel())
    await cancelling.reached.wait()
    bench.platform.end_task("task-1")
    look.go.set()
    await settled()
    cancelling.go.set()
    assert await canceled(bench) == "canceled by request (task: already_ended)"


async def test_while_it_is_canceling_a_crash_is_made_good(bench: Bench) -> None:
    held = bench.platform.hold("cancel_task")
    await bench.take(analyze(**ASYNC))
    await until(lambda: len(bench.poller) == 1)
    await bench.take(cancel())
    await held.reached.wait()
    await bench.crash()
    assert held.left
    await canceled(bench)
    assert bench.platform.count("cancel_task") == 2


async def test_with_a_crash_while_its_task_is_created_finds_the_task_and_cancels_it(bench: Bench) -> None:
    held = bench.platform.hold("create_task")
    await bench.take(analyze(**ASYNC))
    await held.reached.wait()
    name = bench.platform.calls[-1].details["custom_id"]
    await bench.take(cancel())
    await until(lambda: bench.phases()[-1] == "canceling")
    await bench.platform.create_task(None, custom_id=name, idempotency_key=name)  # type: ignore[arg-type]
    await bench.crash()
    await canceled(bench)
    assert bench.platform.tasks["task-1"].status == "canceled"


async def test_with_a_crash_before_its_task_was_created_creates_none(bench: Bench) -> None:
    held = bench.platform.hold("create_task")
    await bench.take(analyze(**ASYNC))
    await held.reached.wait()
    await bench.take(cancel())
    await until(lambda: bench.phases()[-1] == "canceling")
    await bench.crash()
    assert await canceled(bench) == "canceled by request (no task was created)"
    assert bench.platform.tasks == {}


@pytest.mark.parametrize("failure", [rejected(403, "api_not_allowed"), rejected(), not_found()])
async def test_a_task_that_can_not_be_canceled_ends_the_job_all_the_same(bench: Bench, failure: Exception) -> None:
    bench.platform.script("cancel_task", failure)
    await bench.take(analyze(**ASYNC))
    await until(lambda: len(bench.poller) == 1)
    await bench.take(cancel())
    completion = await bench.completed()
    assert "could not be canceled" in completion["reason"]


async def test_a_platform_that_fails_is_asked_again_to_cancel(bench: Bench) -> None:
    bench.platform.script("cancel_task", server_failed(), unknown(), None)
    await bench.take(analyze(**ASYNC))
    await until(lambda: len(bench.poller) == 1)
    await bench.take(cancel())
    await canceled(bench)
    assert bench.platform.count("cancel_task") == 3


async def test_an_id_that_nobody_knows_is_ignored(bench: Bench) -> None:
    await bench.take(cancel("r-9"))
    assert [(event["type"], event["reason"]) for event in bench.progress()] == [("cancel_ignored", "unknown")]


async def test_a_canceled_creation_gives_its_slot_back(bench: Bench) -> None:
    held = bench.platform.hold("create_task")
    await bench.take(analyze(**ASYNC))
    await held.reached.wait()
    await bench.take(cancel())
    held.go.set()
    await canceled(bench)
    assert bench.slots.taken(Slot.CREATE) == 0
