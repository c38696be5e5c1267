"""A file that is read in parts, several at a time."""

from __future__ import annotations

import asyncio
import os
import threading
from pathlib import Path

import pytest

from contracts.video import FileVideo
from service.footage.errors import SourceNotFound, SourceSilent, SourceUnfinished
from service.footage.footage import Footage
from service.footage.resolve import resolve
from service.settings import SourceSettings

DATA = os.urandom(1_000_000)


@pytest.fixture
async def footage(tmp_path: Path) -> Footage:
    path = tmp_path / "a.mp4"
    path.write_bytes(DATA)
    return await resolve(FileVideo(type="file", path=str(path)), SourceSettings(file_roots=(tmp_path,)))


async def test_parts_are_read_at_the_same_time_and_in_any_order(footage: Footage) -> None:
    places = [900_000, 0, 123_456, 500_000, 999_999]
    async with footage.open_ranges() as ranges:
        parts = await asyncio.gather(*(ranges.read(place, 100_000) for place in places))

    assert parts == [DATA[place : place + 100_000] for place in places]


async def test_a_file_that_changed_before_or_while_it_is_read_is_not_read(footage: Footage, tmp_path: Path) -> None:
    async with footage.open_ranges() as ranges:
        with (tmp_path / "a.mp4").open("ab") as file:
            file.write(b"more")
        with pytest.raises(SourceUnfinished):
            await ranges.read(0, 10)
    with pytest.raises(SourceUnfinished):
        async with footage.open_ranges():
            pass


async def test_a_file_that_is_gone_is_not_found(footage: Footage, tmp_path: Path) -> None:
    (tmp_path / "a.mp4").unlink()
    with pytest.raises(SourceNotFound):
        async with footage.open_ranges():
            pass


async def test_a_file_is_closed_when_its_last_read_has_ended(footage: Footage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Closed earlier, its number could be another file's while a thread still reads."""
    reading, go, read = threading.Event(), threading.Event(), os.pread

    def held(descriptor: int, size: int, place: int) -> bytes:
        if size == 7:
            reading.set()
            go.wait()
        return read(descriptor, size, place)

    monkeypatch.setattr(os, "pread", held)
    async with footage.open_ranges() as ranges:
        late = asyncio.create_task(ranges.read(0, 7))
        await asyncio.to_thread(reading.wait)

    async def read_until_it_is_closed() -> None:
        while True:  # by another thread, at once
            await ranges.read(0, 8)

    with pytest.raises(SourceSilent):
        await read_until_it_is_closed()
    go.set()

    assert await late == DATA[:7]


async def test_only_files_are_read_in_parts() -> None:
    with pytest.raises(ValueError, match="asset_id"):
        Footage("asset_id", "x", "x", "x").open_ranges()
