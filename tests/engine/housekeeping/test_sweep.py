"""Deleting assets over real HTTP: those that nobody needs, and none that anybody uses, whoever asks meanwhile."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Set
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from service.domain.housekeeping.verdict import Verdict
from service.emulator.http.server import Emulator
from service.emulator.options import EmulatorOptions, Pace
from service.engine.housekeeping.sweep import AssetSweep
from service.kafka.asset_port import AssetsUnknown
from service.kafka.ports import OutRecord
from service.platform.client import PlatformClient
from service.platform.marks import AssetMark
from service.sandbox.footage import make_video
from service.settings import PlatformSettings
from service.telemetry.metrics import Metrics
from tests.emulator.conftest import until
from tests.engine.bench import Bench, TailedLog, analyze
from tests.support.clock import LoopClock

pytestmark = pytest.mark.integration

KEY = "key"
LONG_SECONDS = 3 * 3600.0


class LaterClock(LoopClock):
    """As the loop's, some hours later."""

    def time(self) -> float:
        return super().time() + LONG_SECONDS


class LiveJobs:
    """`AssetNames` over the jobs topic in memory."""

    def __init__(self, log: TailedLog, topic: str) -> None:
        self._log = log
        self._topic = topic
        self.asked = 0
        self.unknown = False
        self.said: set[str] = set()

    async def named(self, asset_ids: Set[str]) -> set[str]:
        if self.unknown:
            raise AssetsUnknown
        self.asked += 1
        last: dict[bytes | None, bytes] = {}
        for record in self._log.order:
            if record.topic == self._topic:
                last[record.key] = record.value or b""
        found = {name for name in asset_ids for value in last.values() if name.encode() in value}
        return found | (self.said if self.asked > 1 else set())


class Stand:
    """A bench with a platform, and a sweep three hours later."""

    def __init__(self, bench: Bench, emulator: Emulator, client: PlatformClient, settle_seconds: float) -> None:
        self.bench = bench
        self.emulator = emulator
        self.names = LiveJobs(bench.log, bench.settings.topics.jobs)
        arguments = (client, bench.assets, self.names, bench.sender, bench.lease, bench.metrics, LaterClock())
        self.sweep = AssetSweep(bench.settings, *arguments, lambda: True, settle_seconds=settle_seconds)

    @property
    def assets(self) -> list[str]:
        return [asset.id for asset in self.emulator.platform.assets.all()]

    async def run(self, name: str, clip: Path, **members: Any) -> str:
        await self.bench.take(
            analyze(name, **({"mode": "sync", "video": {"type": "file", "path": str(clip)}} | members))
        )
        completion = await self.bench.completed(name)
        assert completion["type"] == "completed", completion
        return str(completion["asset_id"])


@asynccontextmanager
async def _stand(tmp_path: Path, *, settle_seconds: float = 0.05, **assets: Any) -> AsyncIterator[Stand]:
    async with Emulator(EmulatorOptions(pace=Pace(time_scale=0, fragment_interval_ms=0)), LoopClock()) as emulator:
        platform = {"base_url": emulator.base_url, "asset_poll_seconds": 0.01}
        async with (
            PlatformClient(PlatformSettings(**platform), KEY, Metrics(), LoopClock()) as client,
            Bench(
                platform=client,
                platform_settings=platform,
                sources={"file_roots": [tmp_path]},
                poll={"initial_seconds": 0.02, "max_seconds": 0.05},
                assets={"delete_after_hours": 2, **assets},
            ) as bench,
        ):
            yield Stand(bench, emulator, client, settle_seconds)


@pytest.fixture
def clips(tmp_path: Path) -> list[Path]:
    return [make_video(tmp_path / f"{seed}.mp4", seed=seed, seconds=1, scenes=1) for seed in range(2)]


async def test_an_unused_asset_goes_and_its_video_is_uploaded_again_when_it_is_needed(
    tmp_path: Path, clips: list[Path]
) -> None:
    async with _stand(tmp_path) as stand:
        first = await stand.run("r-1", clips[0])
        swept = await stand.sweep.once()
        left = stand.assets
        second = await stand.run("r-2", clips[0])

    assert swept == Counter({Verdict.UNUSED: 1})
    assert left == []
    assert second != first


async def test_an_asset_of_a_live_job_stays_and_so_does_its_note(tmp_path: Path, clips: list[Path]) -> None:
    async with _stand(tmp_path) as stand:
        stand.emulator.set_pace(time_scale=1, task_processing_seconds=3600)
        video = {"type": "file", "path": str(clips[0])}
        await stand.bench.take(analyze("r-1", mode="async", video=video))

        async def watched() -> bool:
            return bool(stand.emulator.platform.tasks.all())

        await until(watched)
        swept = await stand.sweep.once()
        reused = await stand.run("r-2", clips[0])
        stand.emulator.platform.tasks.finish(None)
        ended = await stand.bench.completed("r-1")

    assert swept == Counter({Verdict.NAMED: 1})
    assert (ended["type"], ended["asset_id"]) == ("completed", reused)


async def test_a_request_that_names_an_asset_of_ours_counts_as_a_use(tmp_path: Path, clips: list[Path]) -> None:
    async with _stand(tmp_path) as stand:
        asset_id = await stand.run("r-1", clips[0])
        stand.bench.assets._touch_ms = 0

        def notes() -> int:
            return sum(asset_id.encode() in (record.value or b"") for record in _noted(stand))

        before = notes()
        named = {"type": "asset_id", "asset_id": asset_id}
        again = await stand.run("r-2", clips[0], video=named)

        assert (again, before, notes()) == (asset_id, 1, 2)


def _noted(stand: Stand) -> list[OutRecord]:
    return [record for record in stand.bench.log.order if record.topic == stand.bench.settings.topics.assets]


async def test_assets_of_strangers_stay(tmp_path: Path) -> None:
    marks = [
        None,
        AssetMark("0" * 64, "another deployment").metadata(KEY),
        AssetMark("0" * 64, "reelwire").metadata("x"),
    ]
    async with _stand(tmp_path) as stand:
        for metadata in marks:
            form = aiohttp.FormData({"method": "direct"})
            if metadata is not None:
                form.add_field("user_metadata", json.dumps(metadata))
            form.add_field("file", b"bytes", filename="a.mp4", content_type="video/mp4")
            async with (
                aiohttp.ClientSession(headers={"x-api-key": KEY}) as session,
                session.post(stand.emulator.base_url + "/assets", data=form) as response,
            ):
                assert response.status == 201
        swept = await stand.sweep.once()

        assert (swept.total(), len(stand.assets)) == (0, 3)


async def test_what_a_failed_upload_left_behind_goes(tmp_path: Path, clips: list[Path]) -> None:
    async with _stand(tmp_path) as stand:
        stand.emulator.add_fault(operation="asset_create", do={"asset": "fail"})
        video = {"type": "file", "path": str(clips[0])}
        await stand.bench.take(analyze("r-1", mode="sync", video=video))
        ended = await stand.bench.completed("r-1")
        before = len(stand.assets)
        swept = await stand.sweep.once()

        assert (ended["type"], ended["error"]["code"]) == ("failed", "asset_failed")
        assert before >= 1
        assert (swept[Verdict.ORPHANED] >= 1, stand.names.asked) == (True, 2)


async def test_what_is_named_at_the_last_moment_stays_and_is_noted_again(tmp_path: Path, clips: list[Path]) -> None:
    async with _stand(tmp_path) as stand:
        asset_id = await stand.run("r-1", clips[0])
        stand.names.said = {asset_id}
        swept = await stand.sweep.once()

        assert swept == Counter({Verdict.NAMED: 1})
        assert await stand.run("r-2", clips[0]) == asset_id


async def test_a_request_that_comes_while_its_asset_goes_waits_and_uploads_it(
    tmp_path: Path, clips: list[Path]
) -> None:
    async with _stand(tmp_path, settle_seconds=0.3) as stand:
        first = await stand.run("r-1", clips[0])
        sweeping = asyncio.create_task(stand.sweep.once())

        async def taken_back() -> bool:
            return stand.names.asked == 1 and "!claim" in str(stand.bench.log.order[-1].key)

        await until(taken_back)
        second = await stand.run("r-2", clips[0])
        swept = await sweeping

    assert swept == Counter({Verdict.UNUSED: 1})
    assert second != first


async def test_another_tenant_s_use_does_not_keep_an_asset_and_its_own_does(tmp_path: Path, clips: list[Path]) -> None:
    async with _stand(tmp_path, scope="tenant") as stand:
        mine = await stand.run("r-1", clips[0], tenant="a")
        other = await stand.run("r-2", clips[0], tenant="b")
        stand.emulator.set_pace(time_scale=1, task_processing_seconds=3600)
        video = {"type": "file", "path": str(clips[0])}
        await stand.bench.take(analyze("r-3", mode="async", video=video, tenant="a"))

        async def watched() -> bool:
            return bool(stand.emulator.platform.tasks.all())

        await until(watched)
        swept = await stand.sweep.once()
        left = stand.assets
        stand.emulator.platform.tasks.finish(None)
        await stand.bench.completed("r-3")

    assert swept == Counter({Verdict.UNUSED: 1, Verdict.NAMED: 1})
    assert (left, other != mine) == ([mine], True)


async def test_nothing_goes_while_it_is_not_known_what_is_used(tmp_path: Path, clips: list[Path]) -> None:
    async with _stand(tmp_path) as stand:
        asset_id = await stand.run("r-1", clips[0])
        stand.names.unknown = True
        with pytest.raises(AssetsUnknown):
            await stand.sweep.once()

        assert stand.assets == [asset_id]
        assert await stand.run("r-2", clips[0]) == asset_id


async def test_what_the_platform_needs_stays(tmp_path: Path, clips: list[Path]) -> None:
    async with _stand(tmp_path) as stand:
        asset_id = await stand.run("r-1", clips[0])
        stand.emulator.add_fault(operation="asset_delete", do={"status": 409, "code": "resource_in_use"})
        swept = await stand.sweep.once()

        assert (swept, stand.assets) == (Counter({Verdict.NAMED: 1}), [asset_id])


async def test_nothing_goes_from_a_process_that_may_be_taken_for_dead(tmp_path: Path, clips: list[Path]) -> None:
    async with _stand(tmp_path, settle_seconds=0.2) as stand:
        asset_id = await stand.run("r-1", clips[0])
        sweeping = asyncio.create_task(stand.sweep.once())

        async def taken_back() -> bool:
            return stand.names.asked == 1

        await until(taken_back)
        stand.bench.lease.paying = False
        swept = await sweeping
        stand.bench.lease.paying = True

        assert stand.assets == [asset_id]
        assert not any(one.deletes for one in swept)
