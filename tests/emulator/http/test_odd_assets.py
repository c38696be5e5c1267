"""Odd files over HTTP: every asset ends, the process lives, and a restart doesn't try again what has failed."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from service.emulator.http.server import Emulator
from service.emulator.media import inspectors
from service.emulator.options import EmulatorOptions
from tests.emulator.conftest import FAST, Client
from tests.emulator.media import odd_files as odd
from tests.emulator.media.damage import damaged, whole_files


@pytest.fixture
def late_clip(tmp_path: Path) -> Path:
    """A cut-out of a broadcast: four seconds that begin at 90 on its own clock."""
    return odd.make_clip(tmp_path / "late.ts", starts_at=90, seconds=4)


async def test_sound_of_eight_channels_becomes_a_ready_asset(client: Client, tmp_path: Path) -> None:
    shown = await client.settled(
        (await client.upload(odd.make_sound(tmp_path / "a.mkv", layout="7.1", codec="flac"))).json["_id"]
    )

    assert (shown["status"], shown["technical_metadata"]["audio_channels"]) == ("ready", 8)


async def test_a_track_without_a_codec_becomes_a_failed_asset(client: Client, tmp_path: Path) -> None:
    clip = odd.make_clip(tmp_path / "a.mp4")
    clip.write_bytes(odd.renamed(clip.read_bytes(), b"avc1", b"zzzz"))
    shown = await client.settled((await client.upload(clip)).json["_id"])

    assert shown["status"] == "failed"
    assert shown["error"]["message"] == "video_file_broken: There is no decoder for the picture of the file."


async def test_an_asset_has_the_duration_of_the_picture(client: Client, late_clip: Path) -> None:
    shown = await client.settled((await client.upload(late_clip)).json["_id"])

    assert shown["duration"] == pytest.approx(4, abs=0.1)


@pytest.mark.parametrize(
    ("window", "status"),
    [
        ({}, 200),
        ({"start_time": 91, "end_time": 93}, 200),
        ({"start_time": 91}, 200),
        ({"end_time": 92}, 200),
        ({"start_time": 80, "end_time": 92}, 200),
        ({"start_time": 1, "end_time": 3}, 400),
        ({"start_time": 91, "end_time": 91.5}, 400),
        ({"start_time": 93, "end_time": 99}, 400),
        ({"start_time": 95}, 400),
    ],
)
async def test_a_window_is_on_the_file_s_own_clock(
    client: Client, late_clip: Path, window: dict[str, Any], status: int
) -> None:
    asset_id = await client.ready_asset(late_clip)
    answer = await client.analyze(asset_id, stream=False, **window)
    created = await client.create_task(asset_id, **window)
    if window == {"start_time": 91, "end_time": 91.5}:  # too short whatever the file is: refused at once
        assert (answer.status, created.status) == (400, 400)
        return
    task = await client.ended_task(created.json["task_id"])

    assert (answer.status, task["status"]) == (status, "ready" if status == 200 else "failed")
    if window == {"start_time": 91, "end_time": 93}:
        assert "The part from 00:01:31 to 00:01:33 lasts 2.0 seconds" in answer.json["data"]


async def test_assets_of_damaged_files_all_end(client: Client, tmp_path: Path) -> None:
    rng = random.Random(7)
    whole = whole_files(tmp_path)

    async def upload(number: int) -> str:
        path = tmp_path / f"{number}.mp4"
        path.write_bytes(damaged(whole, rng) or b"-")
        return str((await client.settled((await client.upload(path)).json["_id"]))["status"])

    ends = [end for start in range(0, 60, 6) for end in await asyncio.gather(*map(upload, range(start, start + 6)))]

    assert set(ends) == {"ready", "failed"}
    assert (await client.call("GET", "/assets")).json["page_info"]["total_results"] == 60


async def test_a_file_that_crashes_the_worker_is_not_read_again_also_after_a_restart(
    session: aiohttp.ClientSession, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(inspectors, "_WORKER", "tests.emulator.media.crashing_worker")
        async with Emulator(EmulatorOptions(pace=FAST, state_dir=tmp_path / "state")) as emulator:
            client = Client(session, emulator)
            asset_id = (await client.upload(clip)).json["_id"]
            before = await client.settled(asset_id)
    async with Emulator(EmulatorOptions(pace=FAST, state_dir=tmp_path / "state")) as emulator:
        client = Client(session, emulator)
        after = await client.settled(asset_id)
        again = await client.settled((await client.upload(clip)).json["_id"])

    assert "the decoder crashed" in before["error"]["message"]
    assert after["error"] == again["error"] == before["error"]


async def test_a_file_whose_time_was_over_fails_one_asset_and_is_read_in_the_next(
    session: aiohttp.ClientSession, clip: Path, media: str, tmp_path: Path
) -> None:
    options = EmulatorOptions(pace=FAST, state_dir=tmp_path / "state", inspection_seconds=0.001)
    async with Emulator(options) as emulator:
        client = Client(session, emulator)
        asset_id = (await client.upload(clip)).json["_id"]
        before = await client.settled(asset_id)
        body = {"video": {"type": "url", "url": f"{media}/{clip.name}"}, "prompt": "x"}
        task_id = (await client.call("POST", "/analyze/tasks", json=body)).json["task_id"]
        task = await client.ended_task(task_id)
    async with Emulator(EmulatorOptions(pace=FAST, state_dir=tmp_path / "state")) as emulator:
        client = Client(session, emulator)
        after = await client.settled(asset_id)
        task_after = await client.ended_task(task_id)
        again = await client.settled((await client.upload(clip)).json["_id"])

    assert before["status"] == task["status"] == "failed"
    assert (after, task_after) == (before, task)
    assert again["status"] == "ready"


async def test_a_failed_task_stays_failed_after_a_restart(
    session: aiohttp.ClientSession, media: str, tmp_path: Path, clip: Path
) -> None:
    options = EmulatorOptions(pace=FAST, state_dir=tmp_path / "state")
    video = {"type": "url", "url": f"{media}/late.mp4"}
    (clip.parent / "late.mp4").unlink(missing_ok=True)
    async with Emulator(options) as emulator:
        client = Client(session, emulator)
        body = {"video": video, "prompt": "x"}
        task_id = (await client.call("POST", "/analyze/tasks", json=body)).json["task_id"]
        before = await client.ended_task(task_id)
    (clip.parent / "late.mp4").write_bytes(clip.read_bytes())
    async with Emulator(options) as emulator:
        after = await Client(session, emulator).ended_task(task_id)

    assert before["status"] == "failed"
    assert after == before
