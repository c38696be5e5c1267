"""Errors of this program in the work of a job: counted, repeated for a while, without effect on what has moved on."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from service.domain.job import Phase
from tests.engine.bench import Bench, analyze, cancel
from tests.engine.fake_platform import TEXTS, Held
from tests.support.waiting import passed, settled, until

pytestmark = pytest.mark.unit


STREAM: dict[str, Any] = {"upload": "inline", "mode": "stream"}

ASYNC: dict[str, Any] = {"upload": "inline", "mode": "async"}


async def test_a_bug_in_a_stream_is_paid_for_a_limited_number_of_times(bench: Bench) -> None:
    bench.platform.always("stream", lambda: RuntimeError("a bug"))
    await bench.take(analyze(**STREAM))
    completion = await bench.completed()
    assert completion["error"]["code"] == "internal_error"
    assert "runtime error" in completion["error"]["message"]
    assert bench.platform.count("stream") == bench.settings.jobs.max_attempts


async def test_a_bug_while_a_task_is_created_is_followed_by_a_search(bench: Bench) -> None:
    bench.platform.script("create_task", RuntimeError("a bug"))
    await bench.take(analyze(**ASYNC))
    await until(lambda: bench.platform.tasks)
    # Looked for until some seconds have passed: the list may show it late.
    first, *searches, last = [seen.operation for seen in bench.platform.calls]
    assert (first, set(searches), last) == ("create_task", {"find_task"}, "create_task")
    bench.platform.end_task("task-1")
    await bench.completed()


async def test_a_bug_before_anything_is_paid_for_is_tried_again_after_a_pause(bench: Bench) -> None:
    bench.platform.script("find_assets", RuntimeError("a bug"))
    await bench.take(analyze(mode="stream"))
    await bench.completed()
    assert bench.platform.count("find_assets") == 2


async def test_work_that_fails_after_its_job_moved_on_disturbs_nothing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    released = asyncio.Event()

    async def fails(self: Any, *_: object) -> None:
        released.set()
        raise RuntimeError("a bug while the claim is released")

    monkeypatch.setattr("service.kafka.logs.claim.Claim.__aexit__", fails)
    stream = Held()
    bench.platform.streams.append([TEXTS[0], stream, TEXTS[1]])
    await bench.take(analyze(mode="stream"))
    await stream.reached.wait()
    await released.wait()
    await passed(100)
    stream.go.set()
    completion = await bench.completed()
    assert (completion["type"], completion["attempt"]) == ("completed", 1)
    assert bench.platform.count("stream") == 1


async def test_work_that_fails_while_its_claim_is_written_does_not_spoil_the_attempt(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def cut(*_: object) -> None:
        raise RuntimeError("a bug after the report")

    held = bench.platform.hold("find_assets")
    await bench.take(analyze(mode="stream"))
    await held.reached.wait()
    bench.writer.held = True
    monkeypatch.setattr("service.engine.work.video.asyncio.wait", cut)
    held.go.set()
    await until(lambda: bench.live().job.phase is Phase.STREAMING)
    await settled()
    monkeypatch.undo()
    bench.writer.go()
    completion = await bench.completed()
    assert (completion["type"], completion["attempt"]) == ("completed", 1)


async def test_work_that_fails_while_its_job_waits_for_a_slot_does_not_cut_the_attempt_that_follows() -> None:
    async with Bench(jobs={"max_streams": 1}) as bench:
        first, second = Held(), Held()
        bench.platform.streams.extend([[first], [second]])
        await bench.take(analyze("r-1", **STREAM))
        await first.reached.wait()
        with pytest.MonkeyPatch.context() as patch:

            async def fails(self: Any, *_: object) -> None:
                raise RuntimeError("a bug while the claim is released")

            patch.setattr("service.kafka.logs.claim.Claim.__aexit__", fails)
            await bench.take(analyze("r-2", mode="stream"))
            await until(lambda: "ready" in bench.phases("r-2"))
            await settled()
        first.go.set()
        await second.reached.wait()
        await passed(100)
        second.go.set()
        assert (await bench.completed("r-2"))["attempt"] == 1


async def test_a_job_that_is_canceled_when_its_creation_crashes_is_canceled_all_the_same(bench: Bench) -> None:
    held = Held()

    async def fails(*_: object, **__: object) -> None:
        await held.passed()
        raise RuntimeError("a bug")

    bench.platform.create_task = fails  # type: ignore[assignment,method-assign]
    await bench.take(analyze(**ASYNC))
    await held.reached.wait()
    await bench.take(cancel())
    held.go.set()
    completion = await bench.completed()
    assert completion["type"] == "canceled"
