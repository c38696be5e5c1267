from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import re
import signal
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from contracts.video import FileVideo
from service.footage import files
from service.footage.errors import (
    SourceError,
    SourceNotAllowed,
    SourceNotFound,
    SourceSilent,
    SourceUnfinished,
    SourceUnreadable,
)
from service.footage.footage import CHUNK_BYTES, Footage
from service.footage.resolve import resolve
from service.settings import SourceSettings


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "videos"
    root.mkdir()
    (root / "a.mp4").write_bytes(b"moving pictures")
    (tmp_path / "secret.mp4").write_bytes(b"not for you")
    return root


async def look(path: Path | str, *roots: Path, key: str | None = None) -> Footage:
    return await resolve(FileVideo(type="file", path=str(path), key=key), SourceSettings(file_roots=roots))


async def content(footage: Footage) -> bytes:
    async with footage.open() as chunks:
        return b"".join([chunk async for chunk in chunks])


async def test_a_file_below_a_root_is_read_as_often_as_needed(root: Path) -> None:
    footage = await look(root / "a.mp4", root)
    assert (footage.kind, footage.filename, footage.content_type, footage.size) == ("file", "a.mp4", "video/mp4", 15)
    assert await content(footage) == await content(footage) == b"moving pictures"


async def test_a_large_file_comes_in_bounded_chunks(root: Path) -> None:
    data = os.urandom(3 * CHUNK_BYTES + 17)
    (root / "b.mov").write_bytes(data)
    footage = await look(root / "b.mov", root)
    async with footage.open() as chunks:
        parts = [chunk async for chunk in chunks]
    assert b"".join(parts) == data
    assert max(map(len, parts)) == CHUNK_BYTES


@pytest.mark.parametrize(
    "path", ["../secret.mp4", "x/../../secret.mp4", "../videos2/a.mp4", "/etc/passwd", "", ".", "../missing"]
)
async def test_nothing_outside_the_roots_is_read_whether_it_exists_or_not(root: Path, path: str) -> None:
    with pytest.raises(SourceNotAllowed):
        await look(root / path if path else "/", root)


async def test_a_relative_path_is_not_allowed(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root)
    with pytest.raises(SourceNotAllowed):
        await look("a.mp4", root)


async def test_without_roots_nothing_is_read(root: Path) -> None:
    with pytest.raises(SourceNotAllowed):
        await look(root / "a.mp4")


async def test_a_name_that_only_begins_like_a_root_is_outside(root: Path) -> None:
    sibling = root.with_name("videos-private")
    sibling.mkdir()
    (sibling / "a.mp4").write_bytes(b"x")
    with pytest.raises(SourceNotAllowed):
        await look(sibling / "a.mp4", root)


async def test_links_are_followed_inside_the_root_and_refused_when_they_lead_out(root: Path) -> None:
    (root / "inside.mp4").symlink_to(root / "a.mp4")
    (root / "outside.mp4").symlink_to(root.parent / "secret.mp4")
    (root / "up").symlink_to(root.parent)
    (root / "loop").symlink_to(root / "loop")
    inside = await look(root / "inside.mp4", root)
    assert await content(inside) == b"moving pictures"
    assert inside.identity == (await look(root / "a.mp4", root)).identity
    for path in ("outside.mp4", "up/secret.mp4"):
        with pytest.raises(SourceNotAllowed):
            await look(root / path, root)
    with pytest.raises((SourceNotAllowed, SourceNotFound)):
        await look(root / "loop", root)


async def test_a_root_may_itself_be_a_link(root: Path) -> None:
    link = root.with_name("link")
    link.symlink_to(root)
    assert await content(await look(link / "a.mp4", link)) == b"moving pictures"


async def test_a_directory_swapped_for_a_link_after_the_check_is_not_followed(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "cam").mkdir()
    (root / "cam" / "secret.mp4").write_bytes(b"harmless")
    footage = await look(root / "cam" / "secret.mp4", root)
    (root / "cam").rename(root / "cam.old")
    (root / "cam").symlink_to(root.parent)
    with pytest.raises((SourceNotAllowed, SourceNotFound)):
        await content(footage)

    found = files._below_root(str((root / "a.mp4").resolve()), (str(root.resolve()),))
    assert found is not None
    (root / "a.mp4").unlink()
    (root / "a.mp4").symlink_to(root.parent / "secret.mp4")
    with pytest.raises(SourceNotAllowed):
        files._opened(found)


async def test_only_regular_files_are_read_and_nothing_blocks(root: Path) -> None:
    os.mkfifo(root / "pipe.mp4")
    (root / "dir.mp4").mkdir()
    os.mknod(root / "socket.mp4", stat.S_IFSOCK | 0o600)
    for name in ("pipe.mp4", "dir.mp4", "socket.mp4"):
        with pytest.raises(SourceNotAllowed):
            await asyncio.wait_for(look(root / name, root), 5)


@pytest.mark.parametrize("path", ["missing.mp4", "a.mp4/b.mp4", "x" * 300, "no/such/dir.mp4"])
async def test_a_missing_file_is_not_found(root: Path, path: str) -> None:
    with pytest.raises(SourceNotFound):
        await look(root / path, root)


async def test_an_empty_file_is_unreadable(root: Path) -> None:
    (root / "empty.mp4").touch()
    with pytest.raises(SourceUnreadable):
        await look(root / "empty.mp4", root)


@pytest.fixture
def nobody() -> Iterator[None]:
    """The test runs as a user for whom permissions count."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(65534)
    yield
    os.seteuid(before)


async def test_a_file_that_may_not_be_read_yet_may_be_asked_for_again(
    root: Path, request: pytest.FixtureRequest
) -> None:
    (root / "a.mp4").chmod(0)
    request.getfixturevalue("nobody")
    with pytest.raises(SourceUnfinished, match="send the request again"):
        await look(root / "a.mp4", root)


@pytest.mark.skipif(sys.platform != "linux", reason="leases are Linux's")
async def test_a_file_that_its_writer_holds_by_a_lease_may_be_asked_for_again(root: Path) -> None:
    handler = signal.signal(signal.SIGIO, signal.SIG_IGN)
    with (root / "a.mp4").open("r+b") as writer:
        fcntl.fcntl(writer, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        with pytest.raises(SourceUnfinished, match="still be being written"):
            await look(root / "a.mp4", root)
    signal.signal(signal.SIGIO, handler)
    assert await content(await look(root / "a.mp4", root)) == b"moving pictures"


@pytest.mark.parametrize(
    ("number", "kind"),
    [(number, SourceUnfinished) for number in (errno.EBUSY, errno.ETXTBSY, errno.EACCES, errno.EPERM, errno.EAGAIN)]
    + [
        (number, SourceSilent)
        for number in (
            *(errno.EREMOTEIO, errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.ENETUNREACH, errno.ENETDOWN),
            *(errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.ECONNRESET, errno.ECONNREFUSED, errno.EMFILE, errno.ENOMEM),
        )
    ],
)
@pytest.mark.parametrize("call", ["open", "fstat"])
async def test_errors_that_pass_are_worth_asking_again(
    root: Path, monkeypatch: pytest.MonkeyPatch, number: int, kind: type[SourceError], call: str
) -> None:
    def failing(*_: object, **__: object) -> int:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(os, call, failing)
        with pytest.raises(SourceError, match=re.escape(os.strerror(number))) as caught:
            await look(root / "a.mp4", root)
    assert (type(caught.value), caught.value.retryable) == (kind, True)


async def test_an_error_that_stays_is_not_worth_asking_again(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: object, **__: object) -> int:
        raise OSError(errno.EOVERFLOW, os.strerror(errno.EOVERFLOW))

    monkeypatch.setattr(os, "open", failing)
    with pytest.raises(SourceUnreadable) as caught:
        await look(root / "a.mp4", root)
    assert not caught.value.retryable


async def test_a_changed_file_has_another_identity_and_the_old_one_reads_no_more(root: Path) -> None:
    footage = await look(root / "a.mp4", root)
    (root / "a.mp4").write_bytes(b"moving pictures, longer")
    assert (await look(root / "a.mp4", root)).identity != footage.identity
    with pytest.raises(SourceUnreadable):
        await content(footage)


async def test_a_file_that_changes_while_it_is_read_is_noticed(root: Path) -> None:
    (root / "b.mp4").write_bytes(b"x" * (2 * CHUNK_BYTES))
    footage = await look(root / "b.mp4", root)

    async def read() -> None:
        async with footage.open() as chunks:
            async for _ in chunks:
                os.utime(root / "b.mp4", ns=(1, 1))

    with pytest.raises(SourceUnreadable):
        await read()


async def test_the_callers_key_is_the_identity_wherever_the_bytes_are(root: Path) -> None:
    (root / "copy.mp4").write_bytes(b"moving pictures")
    one, two = await look(root / "a.mp4", root, key="k"), await look(root / "copy.mp4", root, key="k")
    assert one.identity == two.identity
    assert one.identity != (await look(root / "a.mp4", root)).identity


async def test_reading_that_is_cancelled_leaves_no_file_open(root: Path) -> None:
    def descriptors() -> int:
        return len(os.listdir("/proc/self/fd"))  # noqa: PTH208

    (root / "b.mp4").write_bytes(b"x" * (8 * CHUNK_BYTES))
    footage = await look(root / "b.mp4", root)
    await content(footage)  # what is lazily opened once is open now
    before = descriptors()
    for turns in range(20):
        task = asyncio.create_task(content(footage))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    await content(footage)  # after all that the threads had to do before
    async with asyncio.timeout(5):
        while descriptors() > before:
            await content(footage)
