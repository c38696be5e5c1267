"""Assets and their content."""

from __future__ import annotations

from pathlib import Path

from service.sandbox.footage import make_video
from tests.emulator.conftest import Client


async def test_distinct_clips_are_distinct_content(client: Client, tmp_path: Path) -> None:
    for seed in range(3):
        await client.ready_asset(make_video(tmp_path / f"{seed}.mp4", seed=seed, seconds=1, scenes=1))

    assert len(client.emulator.stats()["assets"]["by_sha256"]) == 3
