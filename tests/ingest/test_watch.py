"""`reelwire ingest --watch`: a file that is copied slowly is sent once, whole, and never again."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from tests.ingest.world import World

pytestmark = pytest.mark.integration


async def _until(world: World, wanted: int) -> None:
    async with asyncio.timeout(30):
        while len(await world.requests()) < wanted:
            await asyncio.sleep(0.1)


async def _copy_slowly(path: Path, size: int) -> None:
    """As a camera writes: it holds the file open for longer than files have to stand still."""
    with path.open("wb") as file:
        for _ in range(4):
            file.write(b"x" * (size // 4))
            file.flush()
            await asyncio.sleep(0.4)  # the time is what is tested


async def test_a_file_that_is_copied_slowly_is_sent_once_and_whole(world: World) -> None:
    folder = world.folder / "clips"
    (folder / "cam7").mkdir(parents=True)
    (folder / "before.mp4").write_bytes(b"there before the first start")
    (folder / "cam7" / "half.mp4.part").write_bytes(b"half")
    first = world.program("first", "--watch", str(folder), "--prompt", "What happens?")
    await first.start()
    await world.ready(first)
    clip = folder / "cam7" / "slow.mp4"
    await _copy_slowly(clip, 4_000)
    (folder / "cam7" / "half.mp4.part").rename(folder / "cam7" / "half.mp4")
    (folder / "notes.txt").write_bytes(b"no video")
    await _until(world, 3)
    await first.kill()

    second = world.program("second", "--watch", str(folder), "--prompt", "What happens?")
    await second.start()
    await world.ready(second)
    late = folder / "late.mp4"
    late.write_bytes(b"after the restart")
    os.utime(late, (1, 1))  # as a copy that keeps the times does
    await _until(world, 4)
    clip.write_bytes(b"another clip under the same name")
    await _until(world, 5)

    requests = await world.requests()
    found = sorted((one["video"]["path"], one["metadata"]["ingest"]["bytes"]) for one in requests)
    assert found == sorted(
        [
            (str(folder / "before.mp4"), 28),
            (str(folder / "cam7" / "half.mp4"), 4),
            (str(clip), 4_000),
            (str(clip), 32),
            (str(late), 17),
        ]
    )
    assert len({one["request_id"] for one in requests}) == 5
    assert await world.metric("second", 'reelwire_ingest_notifications_total{outcome="duplicate"}') == 3
    assert await world.metric("second", 'reelwire_ingest_files{state="waiting"}') == 0
