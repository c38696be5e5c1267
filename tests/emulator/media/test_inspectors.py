"""Workers that die, hang or are canceled: the emulator's process lives, and each inspection ends."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from service.emulator.media.footage import InspectionTooLong, UnreadableFootage
from service.emulator.media.inspectors import Inspectors
from tests.emulator.conftest import until
from tests.emulator.media.odd_files import make_clip


@pytest.fixture
async def inspectors() -> AsyncIterator[Inspectors]:
    inspectors = Inspectors(2, 30)
    yield inspectors
    await inspectors.close()


def _workers() -> list[psutil.Process]:
    found = []
    for child in psutil.Process().children():
        try:
            if "service.emulator.media.worker" in child.cmdline():
                found.append(child)
        except psutil.Error:
            continue
    return found


async def _worker(besides: set[int]) -> int:
    async def look() -> int | None:
        return next((worker.pid for worker in _workers() if worker.pid not in besides), None)

    return int(await until(look))


@pytest.fixture
def endless(tmp_path: Path) -> Path:
    """A pipe without a writer: whoever opens it waits."""
    os.mkfifo(tmp_path / "endless")
    return tmp_path / "endless"


async def test_one_worker_looks_at_file_after_file(inspectors: Inspectors, tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4")
    seen = [await inspectors.inspect(str(clip), f"sha-{number}") for number in range(3)]

    assert [footage.sha256 for footage in seen] == ["sha-0", "sha-1", "sha-2"]
    assert len(_workers()) == 1


async def test_a_file_whose_worker_dies_is_tried_once_more_and_then_refused(
    inspectors: Inspectors, endless: Path, tmp_path: Path
) -> None:
    looking = asyncio.create_task(inspectors.inspect(str(endless), "sha"))
    killed: set[int] = set()
    for _ in range(2):
        pid = await _worker(killed)
        os.kill(pid, signal.SIGSEGV)
        killed.add(pid)
    with pytest.raises(UnreadableFootage, match="the decoder crashed") as caught:
        await looking

    assert not isinstance(caught.value, InspectionTooLong)
    assert inspectors.lost == 2
    assert (await inspectors.inspect(str(make_clip(tmp_path / "a.mp4")), "sha")).duration == pytest.approx(2, abs=0.1)


async def test_a_file_that_a_second_worker_can_read_is_read(inspectors: Inspectors, tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4", sound=True)
    await inspectors.inspect(str(clip), "earlier")
    [idle] = _workers()
    idle.kill()
    footage = await inspectors.inspect(str(clip), "sha")

    assert (footage.kind, inspectors.lost) == ("video", 1)
    assert footage.scenes[0].loudness is not None


async def test_a_worker_that_takes_too_long_is_killed(endless: Path) -> None:
    inspectors = Inspectors(1, 0.5)
    with pytest.raises(InspectionTooLong):
        await inspectors.inspect(str(endless), "sha")

    assert _workers() == []


async def test_a_worker_that_has_used_up_its_processor_time_was_too_slow(inspectors: Inspectors, endless: Path) -> None:
    looking = asyncio.create_task(inspectors.inspect(str(endless), "sha"))
    killed: set[int] = set()
    for number in (signal.SIGXCPU, signal.SIGSEGV):
        pid = await _worker(killed)
        os.kill(pid, number)
        killed.add(pid)
    with pytest.raises(InspectionTooLong):
        await looking


async def test_a_canceled_inspection_leaves_no_worker(inspectors: Inspectors, endless: Path) -> None:
    looking = asyncio.create_task(inspectors.inspect(str(endless), "sha"))
    await _worker(set())
    looking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await looking

    assert _workers() == []


async def test_no_more_workers_than_allowed_are_at_work(inspectors: Inspectors, tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4")
    seen = await asyncio.gather(*(inspectors.inspect(str(clip), str(number)) for number in range(8)))

    assert len(seen) == 8
    assert len(_workers()) <= 2


async def test_a_worker_is_limited_and_ends_with_its_input(inspectors: Inspectors, tmp_path: Path) -> None:
    await inspectors.inspect(str(make_clip(tmp_path / "a.mp4")), "sha")
    [worker] = _workers()
    limits = Path(f"/proc/{worker.pid}/limits").read_text(encoding="ascii")
    bounded = {line[:26].strip(): line[26:].split()[0] for line in limits.splitlines()[1:]}

    assert bounded["Max address space"].isdigit()
    assert bounded["Max cpu time"].isdigit()
    assert (bounded["Max file size"], bounded["Max core file size"]) == ("0", "0")
