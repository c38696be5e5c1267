"""What jobs take in memory is counted, and given back to the last byte."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from service.domain.job import encode_job
from service.kafka.ports import UnreadableJob
from tests.domain.builders import job_of
from tests.engine.bench import Bench, analyze, cancel
from tests.engine.fake_platform import Held, server_failed
from tests.support.waiting import passed, settled, until

pytestmark = pytest.mark.unit

STREAM: dict[str, Any] = {"upload": "inline", "mode": "stream"}


async def test_a_job_counts_its_request_and_key_and_the_text_of_its_stream(bench: Bench) -> None:
    held = Held()
    bench.platform.streams.append(["x" * 50_000, held])
    await bench.take(analyze(prompt="p" * 100_000, **STREAM), key=b"k" * 4_000)
    await held.reached.wait()
    assert bench.book.held_bytes >= 154_000
    assert bench.engine.held_bytes() == bench.book.held_bytes == bench.live().held_bytes
    held.go.set()
    await bench.completed()
    assert bench.book.held_bytes == 0


async def test_jobs_that_only_wait_are_held_as_the_bytes_of_their_record() -> None:
    async with Bench(jobs={"max_streams": 1}) as bench:
        held = bench.platform.hold("stream")
        bodies = [analyze(f"r-{number}", prompt="p" * 100_000, **STREAM) for number in range(10)]
        await bench.take(*bodies)
        await held.reached.wait()
        await settled()
        assert bench.book.held_bytes < 10 * 110_000 + 5 * 100_000
        held.go.set()
        for number in range(10):
            await bench.completed(f"r-{number}")
        assert bench.book.held_bytes == 0


@pytest.mark.parametrize("ordering", ["none", "key"])
async def test_whatever_becomes_of_jobs_nothing_stays_counted(ordering: str) -> None:
    async with Bench(jobs={"ordering": ordering}) as bench:
        bench.platform.script("stream", server_failed(), RuntimeError("a bug"))
        held = bench.platform.hold("stream")
        await bench.take(*(analyze(f"r-{number}", **STREAM) for number in range(4)), cancel("r-3"))
        await held.reached.wait()
        await bench.crash()
        assert bench.book.held_bytes > 0
        await asyncio.gather(*(bench.completed(f"r-{number}") for number in range(4)))
        assert bench.book.held_bytes == 0


async def test_a_watched_task_is_held_without_its_parsed_request(bench: Bench) -> None:
    await bench.take(analyze(prompt="p" * 100_000, upload="inline", mode="async"))
    await until(lambda: len(bench.poller) == 1)
    await passed(100)
    assert bench.live().held_bytes < 110_000
    await bench.book.close()
    assert len(bench.book) == 0


async def test_intake_is_closed_above_the_bound_in_bytes_until_a_fifth_of_them_is_free() -> None:
    bound = 1_048_576
    async with Bench(jobs={"max_held_bytes": bound, "max_streams": 100}) as bench:
        waiting = [bench.platform.hold("stream") for _ in range(30)]
        count = 0
        while bench.engine.intake_closed() is None:
            await bench.take(analyze(f"r-{count}", prompt="p" * 40_000, **STREAM))
            count += 1
        assert bench.engine.intake_closed() == "full"
        assert bench.engine.room_bytes() <= 0
        for ended in range(count):
            waiting[ended].go.set()
            await bench.completed(f"r-{ended}")
            if bench.engine.intake_closed() is None:
                break
            assert bench.engine.held_bytes() > 0.8 * bound
        assert bench.engine.held_bytes() <= 0.8 * bound
        for held in waiting:
            held.go.set()
        await until(lambda: bench.engine.held_bytes() == 0)


async def test_a_job_that_was_left_in_the_log_begins_as_soon_as_it_is_restored(bench: Bench) -> None:
    await bench.restore()
    job = job_of(partition=bench.book.partition)
    summary = bench.book.summary(job.request_id.encode(), encode_job(job))
    assert (summary.digest, summary.deadline_ms) == (job.digest, job.deadline_ms)
    assert len(bench.book) == 0
    bench.book.restore(job.request_id.encode(), encode_job(job))
    await bench.completed(job.request_id)


async def test_a_record_that_is_no_job_has_no_summary(bench: Bench) -> None:
    with pytest.raises(UnreadableJob):
        bench.book.summary(b"r-1", b'{"v":99}')
