"""Assets and their content."""

from __future__ import annotations

from pathlib import Path

import aiohttp

from service.emulator.http.server import Emulator
from service.emulator.options import EmulatorOptions
from service.sandbox.footage import make_video
from tests.emulator.conftest import FAST, Client


async def test_distinct_clips_are_distinct_content(client: Client, tmp_path: Path) -> None:
    for seed in range(3):
        await client.ready_asset(make_video(tmp_path / f"{seed}.mp4", seed=seed, seconds=1, scenes=1))

    assert len(client.emulator.stats()["assets"]["by_sha256"]) == 3


async def test_an_asset_fails_when_the_emulator_has_trouble_of_its_own(
    session: aiohttp.ClientSession, clip: Path, tmp_path: Path
) -> None:
    async with Emulator(EmulatorOptions(pace=FAST, state_dir=tmp_path)) as emulator:
        client = Client(session, emulator)
        (tmp_path / "blobs").rmdir()
        shown = await client.settled((await client.upload(clip)).json["_id"])

    assert (shown["status"], shown["error"]["message"]) == ("failed", "The video could not be processed.")
