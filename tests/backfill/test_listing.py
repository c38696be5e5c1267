"""Archives are listed in the same order each time, without what nobody may read or what is not finished."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import httpx
import obstore
import pytest
from obstore.store import S3Store

from service.backfill.errors import ArchiveUnreadable
from service.backfill.listing.archive import open_archive
from service.backfill.listing.left_out import LeftOut
from service.footage.names import escaped
from service.settings import SourceSettings
from tests.backfill.conftest import keys


async def names(prefix: str, sources: SourceSettings) -> list[str]:
    return [found.relative async for found in open_archive(prefix, sources).objects()]


@pytest.mark.unit
async def test_a_folder_is_listed_by_name_without_links_and_hidden_files(tmp_path: Path) -> None:
    for name in ("b/2.mp4", "b/1.mp4", "a.mp4", "c/d/e.mp4", ".hidden.mp4", ".git/x.mp4", "bad\x07name.mp4"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"video")
    (tmp_path / "b" / os.fsdecode(b"caf\xe9.mp4")).write_bytes(b"video")
    (tmp_path / "link").symlink_to("/")
    sources = SourceSettings(file_roots=(tmp_path,))
    assert await names(str(tmp_path), sources) == ["a.mp4", "bad\x07name.mp4", "b/1.mp4", "b/2.mp4", "c/d/e.mp4"]
    left_out = LeftOut()
    assert len([one async for one in open_archive(str(tmp_path), sources).objects(left_out)]) == 5
    assert left_out.by_reason == {"hidden": 2, "name": 1}
    assert left_out.first_name == f"{tmp_path}/b/caf\\xe9.mp4"
    assert escaped(os.fsdecode(b"/v/caf\xe9 \xc3\xa9.mp4")) == "/v/caf\\xe9 é.mp4"
    found = [one async for one in open_archive(f"file://{tmp_path}/b", sources).objects()]
    assert (found[0].uri, found[0].size) == (f"{tmp_path}/b/1.mp4", 5)
    (tmp_path / "b/1.mp4").write_bytes(b"another video")
    again = [one async for one in open_archive(f"{tmp_path}/b", sources).objects()]
    assert again[0].version != found[0].version
    assert again[1].version == found[1].version


@pytest.mark.acceptance
async def test_a_bucket_is_listed_whole_and_by_prefix(s3: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in keys(s3).items():
        monkeypatch.setenv(name.upper(), value)
    store = S3Store("archive", **keys(s3), client_options={"allow_http": True})  # type: ignore[arg-type]
    wanted = ["list/cam/1.mp4", "list/cam/ü %2F+x.mp4", "list/camera/1.mp4"]
    await asyncio.gather(*(obstore.put_async(store, name, name.encode()) for name in wanted))
    sources = SourceSettings(object_prefixes=("s3://archive/list", "s3://nowhere"))

    assert await names("s3://archive/list/", sources) == [name.removeprefix("list/") for name in wanted]
    assert await names("s3://archive/list/cam", sources) == ["1.mp4", "ü %2F+x.mp4"]
    assert await names("s3://archive/list/camera/1.mp4", sources) == ["list/camera/1.mp4"]
    assert await names("s3://archive/list/none", sources) == []
    (found,) = [one async for one in open_archive("s3://archive/list/camera", sources).objects()]
    head = await obstore.head_async(store, "list/camera/1.mp4")
    assert (found.uri, found.version, found.size) == ("s3://archive/list/camera/1.mp4", head["e_tag"], head["size"])
    with pytest.raises(ArchiveUnreadable, match="there is no such bucket"):
        await names("s3://nowhere/x", sources)
    async with httpx.AsyncClient(trust_env=False) as client:
        (await client.put(f"{s3}/archive/list//x.mp4", content=b"x")).raise_for_status()
    with pytest.raises(ArchiveUnreadable, match=r"the name list//x\.mp4 has an empty part"):
        await names("s3://archive/list", sources)
