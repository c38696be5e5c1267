"""A mount below a root whose server never answers, made with FUSE: the kernel waits for a server that isn't there."""

from __future__ import annotations

import asyncio
import ctypes
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from contracts.video import FileVideo
from service.footage import file_threads, files
from service.footage.errors import SourceError, SourceSilent
from service.footage.file_threads import AT_ONCE, MOST_HUNG
from service.footage.footage import Footage
from service.footage.mounts import Mounts
from service.footage.resolve import resolve
from service.settings import SourceSettings

SECONDS = 0.2
_DETACH = 2


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_threads, "_threads", {})
    monkeypatch.setattr(files, "_mounts", Mounts())


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    root = tmp_path / "videos and more"  # the kernel writes the spaces as octal numbers
    for name in ("nas", "local", "nas2"):
        (root / name).mkdir(parents=True)
        (root / name / "a.mp4").write_bytes(b"moving pictures")
    return root


@pytest.fixture
def server() -> Iterator[int]:
    if sys.platform != "linux" or os.geteuid() != 0 or not Path("/dev/fuse").exists():
        pytest.skip("needs root and /dev/fuse, to mount a file system that never answers")
    server = os.open("/dev/fuse", os.O_RDWR)
    yield server
    os.close(server)


@pytest.fixture
def dead(videos: Path, server: int) -> Iterator[Path]:
    """`nas` below the root, which hangs whoever looks at anything in it, until the end of the test."""
    libc = ctypes.CDLL(None, use_errno=True)
    options = f"fd={server},rootmode=40000,user_id=0,group_id=0".encode()
    point = os.fsencode(videos / "nas")
    if libc.mount(b"dead", point, b"fuse", 0, options) != 0:
        pytest.skip(f"can't mount: {os.strerror(ctypes.get_errno())}")
    yield videos / "nas"
    end(server)
    libc.umount2(point, _DETACH)


def end(server: int) -> None:
    """From now on every call of the mount fails, also those that hang."""
    with Path(os.devnull).open("rb") as other:
        os.dup2(other.fileno(), server)


async def look(path: Path, *roots: Path) -> Footage:
    return await resolve(
        FileVideo(type="file", path=str(path)), SourceSettings(file_roots=roots, file_timeout_seconds=SECONDS)
    )


async def looks_at_all_cameras(nas: Path, root: Path) -> list[Footage | BaseException]:
    """Two files of each of more directories than it takes to give up a mount."""
    paths = [nas / f"cam{number}" / f"{file}.mp4" for number in range(MOST_HUNG) for file in range(2)]
    return await asyncio.gather(*(look(path, root) for path in paths), return_exceptions=True)


async def test_a_dead_mount_below_a_root_never_takes_the_rest_of_the_root(dead: Path, videos: Path) -> None:
    for _ in range(2):
        found = await looks_at_all_cameras(dead, videos)
        assert {type(error) for error in found} == {SourceSilent}
        assert (await look(videos / "local" / "a.mp4", videos)).size == 15
        assert (await look(videos / "nas2" / "a.mp4", videos)).size == 15
    assert file_threads.threads_of(str(dead)).hung() <= AT_ONCE + MOST_HUNG
    assert file_threads.threads_of(str(videos)).hung() == 0


async def test_a_link_into_a_dead_mount_hangs_the_mount_and_not_where_the_link_is(dead: Path, videos: Path) -> None:
    (videos / "local" / "archive").symlink_to("../nas")
    (videos / "elsewhere").symlink_to(dead)
    for links in (videos / "local" / "archive", videos / "elsewhere"):
        found = await looks_at_all_cameras(links, videos)
        assert {type(error) for error in found} == {SourceSilent}
    assert (await look(videos / "local" / "a.mp4", videos)).size == 15


async def test_a_root_that_is_a_link_knows_the_mounts_below_it(dead: Path, videos: Path, tmp_path: Path) -> None:
    root = tmp_path / "link"
    root.symlink_to(videos)
    found = await looks_at_all_cameras(root / "nas", root)
    assert {type(error) for error in found} == {SourceSilent}
    assert (await look(root / "local" / "a.mp4", root)).size == 15


async def test_a_mount_that_fails_instead_of_hanging_may_be_asked_for_again(
    dead: Path, videos: Path, server: int
) -> None:
    with pytest.raises(SourceSilent):
        await look(dead / "a.mp4", videos)
    end(server)
    with pytest.raises(SourceError) as caught:
        await look(dead / "a.mp4", videos)
    assert caught.value.retryable


TABLE = rb"""/dev/vda / ext4 rw 0 0
nas:/videos /videos/nas nfs4 rw 0 0
nas:/more /videos/with\040space\134 nfs4 rw 0 0
all /all nfs rw 0 0
one
"""


@pytest.mark.parametrize(
    ("path", "root", "keeper"),
    [
        ("/videos/local/a.mp4", "/videos", "/videos"),
        ("/videos/nas", "/videos", "/videos/nas"),
        ("/videos/nas/cam0/a.mp4", "/videos", "/videos/nas"),
        ("/videos/nas2/a.mp4", "/videos", "/videos"),
        ("/videos/with space\\/a.mp4", "/videos", "/videos/with space\\"),
        ("/videos/nas/cam0/a.mp4", "/videos/nas", "/videos/nas"),
        ("/videos/nas/cam0/a.mp4", "/videos/nas/cam0", "/videos/nas/cam0"),
        ("/videos", "/videos", "/videos"),
        ("/all/a.mp4", "/all/videos", "/all/videos"),
        ("/all/a.mp4", "/videos", "/all"),
        ("/a.mp4", "/", "/"),
        ("/videos/nas/a.mp4", "/", "/videos/nas"),
    ],
)
def test_calls_are_counted_for_the_mount_below_the_root_or_for_the_root(
    tmp_path: Path, path: str, root: str, keeper: str
) -> None:
    table = tmp_path / "mounts"
    table.write_bytes(TABLE)
    assert Mounts(table).keeper(path, root) == keeper
    assert Mounts(tmp_path / "no table").keeper(path, root) == root
