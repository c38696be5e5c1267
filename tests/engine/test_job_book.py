"""The life of jobs in a book: what is durable when, claims, deadlines, ends, and what a dead writer stops."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from service.clock import rfc3339
from service.domain.change import Slot
from service.domain.job import Phase
from service.kafka.ports import RecordPosition
from service.settings import TopicSettings
from tests.engine.bench import Bench, analyze
from tests.engine.fake_platform import unknown
from tests.support.waiting import passed, settled, until

pytestmark = pytest.mark.unit

TOPICS = TopicSettings()
STREAM: dict[str, Any] = {"upload": "inline", "mode": "stream"}
ASYNC: dict[str, Any] = {"upload": "inline", "mode": "async"}


def deadline(bench: Bench, seconds: float) -> str:
    return rfc3339(bench.clock.time() + seconds)


async def test_every_event_and_every_record_of_a_job_names_its_run(bench: Bench) -> None:
    await bench.take(analyze(mode="stream", run=3))
    completion = await bench.completed()
    assert completion["run"] == 3
    assert {event["run"] for event in (*bench.progress(), *bench.fragments())} == {3}
    assert bench.fragments()
    assert {job.run for job in bench.states() if job is not None} == {3}
    finished = await bench.finished.find("r-1")
    assert finished is not None
    assert finished.run == 3


async def test_a_streamed_request_goes_from_its_acceptance_to_its_completion(bench: Bench) -> None:
    await bench.take(analyze(metadata={"cam": 7}, mode="stream"))
    completion = await bench.completed()
    assert completion["text"] == "A car turns left."
    assert (completion["mode"], completion["fragments"], completion["attempt"]) == ("stream", 3, 1)
    assert completion["metadata"] == {"cam": 7}
    assert bench.told() == ["accepted", "uploading", "asset_ready", "stream_started"]
    assert bench.phases() == ["accepted", "streaming", "ended"]
    assert len(bench.book) == 0


async def test_nothing_happens_to_a_job_before_its_acceptance_is_durable(bench: Bench) -> None:
    bench.writer.held = True
    batch = await bench.prepare(bench.record(analyze(**STREAM)))
    durable = bench.writer.submit(batch.unit)
    await settled()
    assert (bench.platform.calls, bench.log.order) == ([], [])
    bench.writer.go()
    await durable
    await batch.durable()
    await bench.completed()


async def test_a_claim_is_one_record_with_what_made_it_possible(bench: Bench) -> None:
    await bench.take(analyze(mode="async"))
    await until(lambda: bench.platform.tasks)
    assert bench.phases() == ["accepted", "creating", "watching"]
    # The events of one change carry the numbers of the attempts they belong to.
    assert [(e["type"], e["attempt"]) for e in bench.progress()] == [
        ("accepted", 1), ("uploading", 1), ("asset_ready", 1), ("task_created", 1), ("task_status", 1),
    ]  # fmt: skip


@pytest.mark.parametrize(("mode", "operation"), [("stream", "stream"), ("sync", "analyze"), ("async", "create_task")])
async def test_nothing_is_paid_for_before_its_claim_is_durable(bench: Bench, mode: str, operation: str) -> None:
    held = bench.platform.hold(operation)
    batch = await bench.prepare(bench.record(analyze(upload="inline", mode=mode)))
    await bench.writer.submit(batch.unit)
    bench.writer.held = True
    await batch.durable()
    await settled()
    assert bench.live().job.attempt == 1
    assert bench.platform.count(operation) == 0
    bench.writer.go()
    await held.reached.wait()
    last = bench.states()[-1]
    assert last is not None
    assert last.attempt == 1


async def test_without_room_the_claim_waits_for_a_slot() -> None:
    async with Bench(jobs={"max_streams": 1}) as small:
        first = small.platform.hold("stream")
        await small.take(analyze("r-1", **STREAM), analyze("r-2", **STREAM))
        await first.reached.wait()
        await settled()
        assert small.phases("r-2") == ["accepted", "ready"]
        first.go.set()
        await small.completed("r-1")
        await small.completed("r-2")
        assert small.phases("r-2") == ["accepted", "ready", "streaming", "ended"]


async def test_the_finished_record_tells_the_position_of_the_completion(bench: Bench) -> None:
    await bench.take(analyze("r-1", **STREAM), analyze("r-2", **STREAM))
    await bench.completed("r-1")
    await bench.completed("r-2")
    for request_id, offset in bench.finished.added:
        record = bench.finished.at(offset)
        assert record.request_id == request_id
        value = bench.log.at(record.completion).value or b""
        assert f'"request_id":"{request_id}"'.encode() in value
        assert record.completion.topic == bench.settings.topics.completions
    assert sorted(request_id for request_id, _ in bench.finished.added) == ["r-1", "r-2"]


async def test_completion_finished_record_and_tombstone_are_written_together(bench: Bench) -> None:
    held = bench.platform.hold("analyze")
    await bench.take(analyze(upload="inline", mode="sync"))
    await held.reached.wait()
    before, commits = len(bench.log.order), bench.writer.commits
    held.go.set()
    await bench.completed()
    topics = bench.settings.topics
    assert [r.topic for r in bench.log.order[before:]] == [topics.completions, topics.jobs, topics.finished]
    assert bench.writer.commits == commits + 1


async def test_a_second_request_with_a_live_id_starts_nothing_and_with_a_finished_one_repeats_its_end(
    bench: Bench,
) -> None:
    await bench.take(analyze(**STREAM), analyze(**STREAM))
    await bench.completed()
    await bench.take(analyze(**STREAM))
    first, again = bench.log.read(bench.settings.topics.completions, 0)
    assert first == again
    assert bench.platform.count("stream") == 1
    assert bench.told().count("duplicate") == 2


# Deadlines


@pytest.mark.parametrize("mode", ["stream", "sync"])
async def test_a_deadline_ends_a_running_attempt(bench: Bench, mode: str) -> None:
    held = bench.platform.hold("stream" if mode == "stream" else "analyze")
    await bench.take(analyze(upload="inline", mode=mode, deadline=deadline(bench, 5)))
    completion = await bench.completed()
    assert completion["error"]["code"] == "deadline_exceeded"
    assert held.left


async def test_a_deadline_cancels_the_task_first(bench: Bench) -> None:
    await bench.take(analyze(**ASYNC, deadline=deadline(bench, 5)))
    completion = await bench.completed()
    assert completion["error"]["code"] == "deadline_exceeded"
    assert bench.platform.tasks["task-1"].status == "canceled"
    assert len(bench.poller) == 0


async def test_a_deadline_in_the_past_ends_the_job_without_a_call(bench: Bench) -> None:
    await bench.take(analyze(**STREAM, deadline=deadline(bench, -5)))
    assert (await bench.completed())["error"]["code"] == "deadline_exceeded"
    assert bench.platform.calls == []


async def test_a_deadline_that_passes_while_the_acceptance_is_written_is_not_lost(bench: Bench) -> None:
    bench.platform.hold("find_assets")
    batch = await bench.prepare(bench.record(analyze(deadline=deadline(bench, 1))))
    await passed(0.5)
    await bench.writer.submit(batch.unit)
    await passed(1)
    await batch.durable()
    assert (await bench.completed())["error"]["code"] == "deadline_exceeded"


async def test_a_job_that_ended_leaves_no_timer(bench: Bench) -> None:
    await bench.take(analyze(**STREAM, deadline=deadline(bench, 50)))
    await bench.completed()
    await passed(100)
    assert [c["type"] for c in bench.completions()] == ["completed"]


# Writers that die, owners that leave


async def test_nothing_runs_after_the_writer_died(bench: Bench) -> None:
    held = bench.platform.hold("find_assets")
    await bench.take(analyze(mode="stream"))
    await held.reached.wait()
    bench.writer.fence()
    held.go.set()
    await passed(300)
    assert bench.platform.count("stream") == 0
    assert bench.phases() == ["accepted"]
    await bench.crash()
    await bench.completed()
    assert bench.platform.count("create_asset") == 1


async def test_a_completion_that_is_not_durable_is_made_again_by_the_next_owner(bench: Bench) -> None:
    await bench.take(analyze(**ASYNC))
    await until(lambda: bench.platform.tasks)
    bench.writer.held = True
    bench.platform.end_task("task-1")
    await until(lambda: bench.live().job.phase is Phase.ENDED)
    assert bench.completions() == []
    assert bench.finished.added == []
    await bench.crash()
    assert (await bench.completed())["task_id"] == "task-1"
    assert bench.platform.count("create_task") == 1


async def test_close_cuts_what_is_under_way_and_returns_every_slot(bench: Bench) -> None:
    stream, call, post, find = (
        bench.platform.hold(name) for name in ("stream", "analyze", "create_task", "find_assets")
    )
    await bench.take(
        analyze("a", **STREAM),
        analyze("b", upload="inline", mode="sync"),
        analyze("c", **ASYNC),
        analyze("d"),
        analyze("e", **ASYNC),
    )
    await asyncio.gather(*(held.reached.wait() for held in (stream, call, post, find)))
    await until(lambda: len(bench.poller) == 1)
    written = len(bench.log.order)
    await bench.book.close()
    await settled()
    assert all(held.left for held in (stream, call, post, find))
    assert [bench.slots.taken(slot) for slot in Slot] == [0, 0]
    assert len(bench.poller) == 0
    assert bench.engine.held() == 0
    topics = bench.settings.topics
    assert {record.topic for record in bench.log.order[written:]} <= {topics.assets}
    await passed(100)
    assert bench.platform.open_streams == 0
    [jobs] = [list(metric.samples) for metric in bench.metrics.jobs.collect()]
    assert {sample.labels["phase"]: sample.value for sample in jobs if sample.value} == {}


async def test_waiting_jobs_leave_the_line_when_the_book_closes() -> None:
    async with Bench(jobs={"max_streams": 1}) as bench:
        held = bench.platform.hold("stream")
        await bench.take(analyze("r-1", **STREAM), analyze("r-2", **STREAM))
        await held.reached.wait()
        await bench.book.close()
        await settled()
        assert bench.platform.count("stream") == 1
        assert "0 waiting" in repr(bench.slots)


# Work that fails by a bug


# Results that fit no record


async def test_a_result_that_fits_no_record_ends_the_job_as_failed() -> None:
    async with Bench(limits={TOPICS.completions: 1_048_576}) as bench:
        await bench.take(analyze(**ASYNC))
        await until(lambda: bench.platform.tasks)
        bench.platform.end_task("task-1", text="x" * 2_000_000)
        completion = await bench.completed()
        assert completion["error"]["code"] == "result_too_large"
        assert "larger" in completion["error"]["message"]
        assert bench.finished.added
        assert bench.finished.at(bench.finished.added[0][1]).completion == RecordPosition(
            bench.settings.topics.completions, 0, 0
        )


async def test_a_request_whose_job_fits_no_record_goes_to_the_dead_letters(bench: Bench) -> None:
    limit = bench.settings.kafka.max_message_bytes
    await bench.take(analyze("r-1", **STREAM), key=b"k" * limit)
    assert len(bench.book) == 0
    assert len(bench.log.read(bench.settings.topics.dead_letters, 0)) == 1


async def test_a_job_that_could_not_be_taken_on_leaves_nothing_behind(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(type(bench.context.records), "job", lambda *_: 1 / 0)
        await bench.take(analyze(**STREAM))
    assert len(bench.log.read(bench.settings.topics.dead_letters, 0)) == 1
    assert len(bench.book) == 0
    await bench.take(analyze(**STREAM))
    assert (await bench.completed())["type"] == "completed"


async def test_an_unknown_outcome_of_a_call_is_tried_again_under_a_new_number(bench: Bench) -> None:
    bench.platform.script("analyze", unknown())
    await bench.take(analyze(upload="inline", mode="sync"))
    completion = await bench.completed()
    assert (completion["type"], completion["attempt"]) == ("completed", 2)
    assert bench.phases() == ["accepted", "calling", "ready", "calling", "ended"]
