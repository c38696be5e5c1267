"""What is sent of a watched folder at the first start and after a restart, without a broker."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from service.clock import SystemClock
from service.ingest.judging import Incoming, Judgement
from service.ingest.log.note import Note
from service.ingest.notifications.arrival import Arrival
from service.ingest.watch.watcher import Existing, Watcher
from service.settings import load_settings
from service.telemetry.events import LogEvent
from service.telemetry.ingest_metrics import IngestMetrics
from tests.support.waiting import until

pytestmark = pytest.mark.unit

DAY = 86_400.0


class _Active:
    """What the watcher needs of the part that sends: what it was given, and the note."""

    def __init__(self, note: Note) -> None:
        self.note = note
        self.dead = False
        self.taken: list[str] = []

    async def take(self, batch: Sequence[Incoming], *, note: Note | None = None) -> Judgement:
        self.note = note or self.note
        self.taken += [notice.key for one in batch for notice in one.notices if isinstance(notice, Arrival)]
        return Judgement()


@asynccontextmanager
async def _watching(
    root: Path, note: Note, existing: Existing = "send", *, quiet: float = 0.05
) -> AsyncIterator[tuple[_Active, dict[str, str]]]:
    settings = load_settings(ingest={"quiet_seconds": quiet, "scan_seconds": 0.01, "remember_hours": 24})
    active, health = _Active(note), dict[str, str]()

    async def now() -> Any:
        return active

    def report(name: str, /, ok: bool, detail: str) -> None:
        health[name] = f"{ok}: {detail}"

    own = IngestMetrics(CollectorRegistry())
    watcher = Watcher(settings, str(root), existing, now, own, SystemClock(), report)
    task = asyncio.create_task(watcher.run())
    try:
        yield active, health
    finally:
        task.cancel()
        await asyncio.wait({task})


def _clip(root: Path, name: str) -> None:
    (root / name).write_bytes(b"clip")


async def test_the_first_start_sends_what_is_there_and_what_comes(tmp_path: Path) -> None:
    _clip(tmp_path, "old.mp4")
    os.utime(tmp_path / "old.mp4", (1, 1))
    async with _watching(tmp_path, Note(0)) as (active, _):
        await until(lambda: active.taken == ["old.mp4"], seconds=10)
        _clip(tmp_path, "new.mp4")
        await until(lambda: active.taken == ["old.mp4", "new.mp4"], seconds=10)
    assert active.note.folder_from_ms == 0


async def test_the_first_start_can_begin_with_new_files(tmp_path: Path) -> None:
    _clip(tmp_path, "old.mp4")
    async with _watching(tmp_path, Note(0), "skip") as (active, health):
        await until(lambda: health, seconds=10)
        _clip(tmp_path, "new.mp4")
        os.utime(tmp_path / "new.mp4", (1, 1))  # a copy with the time of its original is new all the same
        await until(lambda: active.taken == ["new.mp4"], seconds=10)
    # The next process, from the same note: the memory knows what was sent, the note what was there before.
    async with _watching(tmp_path, active.note) as (again, _):
        await until(lambda: again.taken, seconds=10)
    assert again.taken == ["new.mp4"]


async def test_a_restart_passes_over_what_was_looked_at_long_ago(tmp_path: Path) -> None:
    _clip(tmp_path, "clip.mp4")
    async with _watching(tmp_path, Note(0)) as (active, _):
        await until(lambda: active.taken, seconds=10)
    later = int((time.time() + 2 * DAY) * 1000)
    async with _watching(tmp_path, replace(active.note, folder_until_ms=later)) as (again, health):
        await until(lambda: health, seconds=10)
        _clip(tmp_path, "new.mp4")
        await until(lambda: again.taken, seconds=10)
    assert again.taken == ["new.mp4"]


async def test_a_note_about_another_folder_says_nothing(tmp_path: Path) -> None:
    _clip(tmp_path, "clip.mp4")
    later = int((time.time() + 2 * DAY) * 1000)
    async with _watching(tmp_path, Note(0, "another", 0, later)) as (active, _):
        await until(lambda: active.taken == ["clip.mp4"], seconds=10)


async def test_a_folder_that_goes_away_is_said_and_looked_at_again(tmp_path: Path) -> None:
    root = tmp_path / "mount"
    async with _watching(root, Note(0)) as (active, health):
        await until(lambda: health.get("folder", "").startswith("False"), seconds=10)
        assert "can't be read" in health["folder"]
        root.mkdir()
        _clip(root, "clip.mp4")
        await until(lambda: active.taken == ["clip.mp4"], seconds=10)
        assert health["folder"] == "True: 1 files"


async def test_a_name_that_can_not_be_used_is_said_once_and_counted(tmp_path: Path) -> None:
    _clip(tmp_path, "a\udcff1.mp4")
    with capture_logs() as lines:
        async with _watching(tmp_path, Note(0)) as (active, _):
            _clip(tmp_path, "b.mp4")
            await until(lambda: active.taken == ["b.mp4"], seconds=10)
            _clip(tmp_path, "c\udc80.mp4")
            _clip(tmp_path, "d.mp4")
            await until(lambda: active.taken == ["b.mp4", "d.mp4"], seconds=10)
    told = [line for line in lines if line["event"] == LogEvent.FILE_NAME_UNUSABLE]
    assert [(line["name"], line["new"], line["all"]) for line in told] == [("a\\xff1.mp4", 1, 1), ("c\\x80.mp4", 1, 2)]
    assert {line["log_level"] for line in told} == {"warning"}
