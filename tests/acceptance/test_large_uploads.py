"""Files too large for one request: sent in chunks with bounded memory, and finished by another process after a kill."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import pytest

from tests.conftest import MakeStage
from tests.harness.observer import Observer
from tests.harness.stage import Stage

pytestmark = [pytest.mark.acceptance, pytest.mark.crash]

SIZE = int(os.environ.get("LARGE_UPLOAD_BYTES", "400_000_000"))
CHUNKS = -(-SIZE // (5 * 1024 * 1024))
MEGABYTE = 1_000_000


def enlarge(path: Path, size: int) -> Path:
    """Make a video as large as that, on disk as small as before: an empty box at its end, which players skip."""
    more = size - path.stat().st_size
    with path.open("ab") as file:
        file.write(struct.pack(">I4sQ", 1, b"free", more))
    os.truncate(path, size)
    return path


def most_memory(pid: int) -> int:
    """The most memory in bytes that the process has had so far."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))


@pytest.fixture(scope="module")
def stage(make_stage: MakeStage) -> Stage:
    return make_stage(serve=False)


async def test_a_process_killed_at_half_is_followed_by_one_that_sends_what_was_not_reported(stage: Stage) -> None:
    first, name = stage.system.service(), stage.name("large")
    await stage.system.fault({"operation": "chunk_put", "do": {"delay_seconds": 0.1}})
    await first.start()
    await stage.request_producer.send(stage.analyze(name, enlarge(stage.clip(), SIZE)))
    await stage.until_stats(lambda stats: any(one["reported"] >= CHUNKS // 2 for one in stats["uploads"]), seconds=90)
    memory = most_memory(first.pid)
    await first.kill()
    (half,) = (await stage.system.stats())["uploads"]
    await stage.system.heal()

    second = await stage.system.serve("second")
    observer = await stage.ended(name, seconds=120)
    (whole,) = (await stage.system.stats())["uploads"]
    completion = observer.completion(name) or {}
    told = observer.events(name, "uploading")
    memory = max(memory, most_memory(second.pid))
    print(f"{SIZE} bytes in {CHUNKS} chunks, {half['reported']} before the kill: at most {memory / MEGABYTE:.0f} MB")

    assert CHUNKS // 2 <= half["reported"] < CHUNKS
    assert (completion["type"], completion["asset_id"]) == ("completed", half["asset_id"])
    assert (whole["upload_id"], whole["reported"], whole["resent"]) == (half["upload_id"], CHUNKS, [])
    assert {(event["route"], event["bytes_total"]) for event in told} == {("multipart", SIZE)}
    assert told[-1]["bytes_sent"] == SIZE
    assert memory < 150 * MEGABYTE
    assert [entry["chunks_known"] for entry in second.said("session_resumed")] == [half["reported"]]


async def test_no_url_of_the_storage_is_in_a_log_or_in_a_topic(stage: Stage) -> None:
    seen = await Observer.of_everything(stage.system.settings())
    told = [record.value or b"" for record in seen.records]
    logged = [program.log_file.read_bytes() for program in stage.system.services.values()]

    assert told
    assert all(logged)
    assert not [text for text in (*told, *logged) if b"_storage/" in text]
    assert (await stage.system.stats())["storage"]["with_api_key"] == 0


async def test_after_all_that_every_promise_was_kept(stage: Stage) -> None:
    assert await stage.broken_promises() == []
