"""File systems that don't answer, with calls that really hang: opening and reading a FIFO that nobody writes."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from contracts.video import FileVideo
from service.footage import file_threads, files
from service.footage.errors import SourceNotFound, SourceSilent
from service.footage.file_threads import MOST_HUNG, MOST_HUNG_IN_DIRECTORY, FileThreads
from service.footage.footage import Footage
from service.footage.resolve import resolve
from service.settings import SourceSettings

SECONDS = 0.2


@pytest.fixture
def roots(tmp_path: Path) -> Iterator[tuple[Path, Path]]:
    """A root whose files hang when they are opened, and one that is well."""
    dead, well = tmp_path / "dead", tmp_path / "well"
    for root in (dead, well):
        (root / "cam7").mkdir(parents=True)
        (root / "cam7" / "a.mp4").write_bytes(b"moving pictures")
    yield dead, well
    file_threads._threads.clear()


def hang_on(monkeypatch: pytest.MonkeyPatch, root: Path) -> Callable[[], int]:
    """Opening anything below `root` waits for a writer of a FIFO; the result is that writer, to be made once."""
    pipe = root.parent / "pipe"
    os.mkfifo(pipe)
    opened = files._opened

    def hanging(target: files._BelowRoot) -> object:
        if Path(target.root) == root:
            with pipe.open("rb"):
                pass
        return opened(target)

    monkeypatch.setattr(files, "_opened", hanging)
    return lambda: os.open(pipe, os.O_RDWR)


async def look(root: Path, name: str, sources: SourceSettings) -> Footage:
    return await resolve(FileVideo(type="file", path=str(root / name)), sources)


async def test_a_root_that_hangs_is_unreadable_and_the_others_are_not_affected(
    roots: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    dead, well = roots
    sources = SourceSettings(file_roots=(dead, well), file_timeout_seconds=SECONDS)
    release = hang_on(monkeypatch, dead)
    for number in range(40):
        (dead / f"cam-{number}").mkdir()
        (dead / f"cam-{number}" / "a.mp4").write_bytes(b"x")
    looks = [look(dead, f"cam-{number}/a.mp4", sources) for number in range(40)]
    hung = asyncio.gather(*looks, return_exceptions=True)
    async with asyncio.timeout(5):
        for _ in range(20):
            assert (await look(well, "cam7/a.mp4", sources)).size == 15
    assert [type(error) for error in await hung] == [SourceSilent] * 40
    left = [thread for thread in threading.enumerate() if thread.name == f"files of {dead}"]
    assert len(left) <= file_threads.AT_ONCE + MOST_HUNG
    began = time.monotonic()
    with pytest.raises(SourceSilent, match="still hang"):
        await look(dead, "cam7/a.mp4", sources)
    assert time.monotonic() - began < SECONDS
    writer = release()
    threads = file_threads.threads_of(str(dead))
    async with asyncio.timeout(10):
        while threads.hung():
            await asyncio.sleep(0)
    sources = SourceSettings(file_roots=(dead, well))
    assert (await look(dead, "cam7/a.mp4", sources)).size == 15  # the mount is back
    os.close(writer)


async def test_a_directory_that_hangs_leaves_the_rest_of_its_root_alone() -> None:
    threads = FileThreads("/videos")
    go = threading.Event()
    for _ in range(MOST_HUNG_IN_DIRECTORY):
        with pytest.raises(SourceSilent, match="no answer"):
            await threads.run("/videos/dead", SECONDS, go.wait)
    with pytest.raises(SourceSilent, match="still hang"):
        await threads.run("/videos/dead", 60, go.wait)
    assert await threads.run("/videos/well", 60, lambda: 7) == 7
    go.set()
    async with asyncio.timeout(10):
        while threads.hung():
            await asyncio.sleep(0)
    assert await threads.run("/videos/dead", 60, lambda: 8) == 8


async def test_a_read_that_hangs_ends_the_reading_and_the_file_is_closed_when_it_comes_back(
    roots: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, well = roots
    sources = SourceSettings(file_roots=(well,), file_timeout_seconds=SECONDS)
    footage = await look(well, "cam7/a.mp4", sources)
    pipe = well.parent / "pipe"
    os.mkfifo(pipe)
    writer = os.open(pipe, os.O_RDWR)
    opened: list[object] = []
    plain = files._opened

    def hanging(target: files._BelowRoot) -> object:
        file, version = plain(target)
        file.close()
        reader = pipe.open("rb", buffering=0)
        opened.append(reader)
        return reader, version

    monkeypatch.setattr(files, "_opened", hanging)
    with pytest.raises(SourceSilent):
        async with footage.open() as chunks:
            [chunk async for chunk in chunks]
    [file] = opened
    assert not file.closed  # type: ignore[attr-defined]
    os.write(writer, b"x")
    async with asyncio.timeout(10):
        while not file.closed:  # type: ignore[attr-defined]
            await asyncio.sleep(0)
    os.close(writer)


async def test_a_file_that_is_opened_after_nobody_waits_any_more_is_closed(
    roots: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, well = roots
    sources = SourceSettings(file_roots=(well,), file_timeout_seconds=60)
    footage = await look(well, "cam7/a.mp4", sources)
    began, go = threading.Event(), threading.Event()
    opened: list[object] = []
    plain = files._opened

    def late(target: files._BelowRoot) -> object:
        began.set()
        go.wait()
        found = plain(target)
        opened.append(found[0])
        return found

    monkeypatch.setattr(files, "_opened", late)

    async def read() -> None:
        async with footage.open() as chunks:
            [chunk async for chunk in chunks]

    task = asyncio.create_task(read())
    async with asyncio.timeout(10):
        while not began.is_set():
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        go.set()
        while not (opened and opened[0].closed):  # type: ignore[attr-defined]
            await asyncio.sleep(0)


async def test_calls_that_wait_their_turn_behind_slow_ones_are_made() -> None:
    threads = FileThreads("/videos")
    running = most = 0
    lock = threading.Lock()

    def work(number: int) -> int:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.002)
        with lock:
            running -= 1
        return number

    found = await asyncio.gather(*(threads.run("/videos", 60, lambda n=n: work(n)) for n in range(200)))  # type: ignore[misc]
    assert found == list(range(200))
    assert most <= file_threads.AT_ONCE


async def test_threads_with_nothing_to_do_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_threads, "IDLE_SECONDS", 0.01)
    threads = FileThreads("/idle")
    for _ in range(2):
        assert sum(await asyncio.gather(*(threads.run("/idle", 60, lambda: 1) for _ in range(20)))) == 20
        async with asyncio.timeout(10):
            while any(thread.name == "files of /idle" for thread in threading.enumerate()):
                await asyncio.sleep(0)


async def test_what_a_call_raises_comes_through(roots: tuple[Path, Path]) -> None:
    _, well = roots
    with pytest.raises(SourceNotFound):
        await look(well, "none.mp4", SourceSettings(file_roots=(well,)))


PROGRAM = """
import asyncio, os, sys
from pathlib import Path
from contracts.video import FileVideo
from service.footage import files
from service.footage.errors import SourceSilent
from service.footage.resolve import resolve
from service.settings import SourceSettings

root = Path(sys.argv[1])
files._FLAGS &= ~os.O_NONBLOCK  # so that opening a FIFO hangs, as it does on a dead mount

async def main():
    sources = SourceSettings(file_roots=(root,), file_timeout_seconds=0.2)
    video = FileVideo(type="file", path=str(root / "pipe.mp4"))
    looks = await asyncio.gather(*(resolve(video, sources) for _ in range(20)), return_exceptions=True)
    assert all(isinstance(look, SourceSilent) for look in looks), looks
    print("silent", flush=True)

asyncio.run(main())
"""


def test_a_process_with_calls_that_hang_can_exit(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.mp4")
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path)], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "silent", "")
