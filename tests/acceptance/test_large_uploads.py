"""Files too large for one request: sent in chunks with bounded memory, finished by another process after a kill."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import psutil
import pytest

from tests.conftest import MakeStage
from tests.harness.stage import Stage

pytestmark = [pytest.mark.acceptance, pytest.mark.crash]

SIZE = 400_000_000
CHUNKS = -(-SIZE // (5 * 1024 * 1024))
MEGABYTE = 1_000_000


def enlarge(path: Path, size: int) -> Path:
    """Make a video as large as that, on disk as small as before: an empty box at its end, which players skip."""
    more = size - path.stat().st_size
    with path.open("ab") as file:
        file.write(struct.pack(">I4sQ", 1, b"free", more))
    os.truncate(path, size)
    return path


@pytest.fixture(scope="module")
def stage(make_stage: MakeStage) -> Stage:
    return make_stage(serve=False)


async def test_a_process_killed_at_half_is_followed_by_one_that_sends_what_was_not_reported(stage: Stage) -> None:
    first, name = stage.system.service(), stage.name("large")
    await stage.system.fault({"operation": "chunk_put", "do": {"delay_seconds": 0.1}})
    await first.start()
    await stage.request_producer.send(stage.analyze(name, enlarge(stage.clip(), SIZE)))
    await stage.until_stats(lambda stats: any(one["reported"] >= CHUNKS // 2 for one in stats["uploads"]))
    before_kill = psutil.Process(first.pid).memory_info().rss
    await first.kill()
    (half,) = (await stage.system.stats())["uploads"]
    await stage.system.heal()

    second = await stage.system.serve("second")
    observer = await stage.ended(name, seconds=40)
    (whole,) = (await stage.system.stats())["uploads"]
    completion = observer.completion(name) or {}
    told = observer.events(name, "uploading")

    assert CHUNKS // 2 <= half["reported"] < CHUNKS
    assert (completion["type"], completion["asset_id"]) == ("completed", half["asset_id"])
    assert (whole["upload_id"], whole["reported"], whole["resent"]) == (half["upload_id"], CHUNKS, [])
    assert {(event["route"], event["bytes_total"]) for event in told} == {("multipart", SIZE)}
    assert told[-1]["bytes_sent"] == SIZE
    assert max(before_kill, psutil.Process(second.pid).memory_info().rss) < 150 * MEGABYTE
    assert [entry["chunks_known"] for entry in second.said("session_resumed")] == [half["reported"]]


async def test_no_url_of_the_storage_is_in_a_log_or_in_a_topic(stage: Stage) -> None:
    async with stage.watching() as observer:
        await observer.until(lambda: observer.records)
    texts = [program.log_file.read_text() for program in stage.system.services.values()]
    values = [str(record.value) for record in observer.records]

    assert texts
    assert not [text for text in (*texts, *values) if "_storage/" in text]
    assert (await stage.system.stats())["storage"]["with_api_key"] == 0


async def test_after_all_that_every_promise_was_kept(stage: Stage) -> None:
    assert await stage.broken_promises() == []
