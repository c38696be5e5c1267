"""Objects in real stores: looked at, read, replaced meanwhile, refused, signed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import obstore
import pytest
from obstore.store import AzureStore, S3Store

from contracts.video import ObjectVideo
from service.footage.errors import SourceNotFound, SourceSilent, SourceUnfinished, SourceUnreadable
from service.footage.footage import CHUNK_BYTES, Footage, content_replaced
from service.footage.objects import stores
from service.footage.resolve import resolve
from service.settings import SourceSettings
from tests.footage.objects import servers

pytestmark = pytest.mark.integration

BIG = bytes(range(251)) * 40_000  # 10 MB, and no two ranges alike
ODD_KEYS = [
    "cam 7/a+b.mp4",
    "ü/ç.mp4",
    "a%20b.mp4",
    "a?x=1&y=#z.mp4",
    "100%.mp4",
    "(1)'!*.mp4",
    "日本/録画.mp4",
    "a\u202fb\u3000c\u00add\u200de.mp4",
]


@pytest.fixture(scope="module", params=["moto", "nanio"])
def s3(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    start = servers.moto if request.param == "moto" else servers.nanio
    with start(tmp_path_factory.mktemp(request.param)) as url:
        yield url


@pytest.fixture
async def bucket(s3: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[S3Store]:
    for name, value in servers.s3_keys(s3).items():
        monkeypatch.setenv(name, value)
    stores._store.cache_clear()
    yield S3Store("archive", client_options={"allow_http": True})
    stores._store.cache_clear()


SOURCES = SourceSettings(object_prefixes=("s3://archive", "gs://archive"), file_timeout_seconds=10)


async def found(uri: str, sources: SourceSettings = SOURCES) -> Footage:
    return await resolve(ObjectVideo(type="object", uri=uri), sources)


async def content(footage: Footage) -> bytes:
    async with footage.open() as chunks:
        parts = [chunk async for chunk in chunks]
    assert all(0 < len(part) <= CHUNK_BYTES for part in parts)
    return b"".join(parts)


async def test_an_object_is_read_whole_and_in_parts(bucket: S3Store) -> None:
    await obstore.put_async(bucket, "cam/big.mp4", BIG)
    footage = await found("s3://archive/cam/big.mp4")
    assert (footage.kind, footage.filename, footage.content_type) == ("object", "big.mp4", "video/mp4")
    assert footage.size == len(BIG)
    assert await content(footage) == BIG
    async with footage.open_ranges() as ranges:
        assert await ranges.read(5_000_001, 7) == BIG[5_000_001:5_000_008]
        assert await ranges.read(len(BIG) - 3, 100) == BIG[-3:]
        assert await ranges.read(len(BIG), 100) == b""


@pytest.mark.parametrize("key", ODD_KEYS)
async def test_odd_keys_are_found_and_signed(bucket: S3Store, key: str, request: pytest.FixtureRequest) -> None:
    if "%20" in key and "nanio" in request.node.name:
        pytest.skip("nanio decodes a key before it checks the signature, so it refuses its own clients here")
    await obstore.put_async(bucket, key, b"film")
    footage = await found(f"s3://archive/{key}", SOURCES.model_copy(update={"object_urls": "always"}))
    assert await content(footage) == b"film"
    assert footage.reachable
    url = await footage.fetch_url()
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = await client.get(url)
    assert (answer.status_code, answer.content) == (200, b"film")


async def test_an_object_that_is_replaced_is_another_video_and_no_mixture_is_read(bucket: S3Store) -> None:
    await obstore.put_async(bucket, "again.mp4", BIG)
    before = await found("s3://archive/again.mp4")
    assert before.identity == (await found("s3://archive/again.mp4")).identity
    async with before.open() as chunks:
        first = await anext(chunks)
        assert first == BIG[: len(first)]
        await obstore.put_async(bucket, "again.mp4", BIG[::-1])
        with pytest.raises(SourceUnfinished, match="replaced"):
            async for _ in chunks:
                pass
    with pytest.raises(SourceUnfinished, match="replaced"):
        async with before.open_ranges():
            pass
    after = await found("s3://archive/again.mp4")
    assert after.identity != before.identity
    assert content_replaced(before.stamp, after.stamp)
    assert await content(after) == BIG[::-1]


async def test_missing_and_empty_objects_may_come_later(bucket: S3Store) -> None:
    with pytest.raises(SourceNotFound, match=r"no such object in s3://archive") as missing:
        await found("s3://archive/nowhere.mp4")
    await obstore.put_async(bucket, "empty.mp4", b"")
    with pytest.raises(SourceUnfinished, match="no bytes yet") as empty:
        await found("s3://archive/empty.mp4")
    assert missing.value.retryable
    assert empty.value.retryable


async def test_a_bucket_that_is_not_there_is_no_object(bucket: S3Store) -> None:
    with pytest.raises(SourceNotFound):
        await found("s3://other/a.mp4", SOURCES.model_copy(update={"object_prefixes": ("s3://other",)}))


async def test_a_private_store_is_read_by_us_and_its_urls_are_signed_only_when_asked_for(bucket: S3Store) -> None:
    await obstore.put_async(bucket, "a.mp4", b"film")
    for wanted, reachable in (("auto", False), ("never", False), ("always", True)):
        footage = await found("s3://archive/a.mp4", SOURCES.model_copy(update={"object_urls": wanted}))
        assert footage.reachable is reachable
    assert servers.SECRET_KEY not in repr(footage)
    assert "Signature" not in repr(footage)


async def test_a_store_that_is_not_there_is_said_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", servers.ACCESS_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", servers.SECRET_KEY)
    with pytest.raises(SourceSilent) as caught:
        await found("s3://archive/a.mp4")
    assert caught.value.retryable
    assert str(caught.value).startswith("s3://archive can't be reached")
    assert servers.SECRET_KEY not in str(caught.value)


async def test_wrong_credentials_are_denied_access(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with servers.nanio(tmp_path) as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", servers.ACCESS_KEY)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-the-secret")
        monkeypatch.setenv("AWS_REGION", "us-east-1")
        with pytest.raises(SourceUnreadable, match=r"s3://archive (denies access|refuses the service's credentials)"):
            await found("s3://archive/a.mp4")


async def test_googles_store_is_read_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with servers.gcs(tmp_path) as url:
        for name, value in servers.gcs_keys(url).items():
            monkeypatch.setenv(name, value)
        servers.put_in_gcs(url, "cam 7/ü.mp4", BIG)
        footage = await found("gs://archive/cam 7/ü.mp4")
        assert footage.size == len(BIG)
        assert not footage.reachable
        assert await content(footage) == BIG
        servers.put_in_gcs(url, "cam 7/ü.mp4", BIG[::-1])
        with pytest.raises(SourceUnfinished, match="replaced"):
            await content(footage)
        with pytest.raises(SourceNotFound):
            await found("gs://archive/cam 7/other.mp4")


async def test_azures_store_is_read_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with servers.azure(tmp_path) as url:
        for name, value in servers.azure_keys(url).items():
            monkeypatch.setenv(name, value)
        store = AzureStore("archive", client_options={"allow_http": True})
        await obstore.put_async(store, "cam 7/ü.mp4", BIG, use_multipart=False)
        sources = SOURCES.model_copy(update={"object_prefixes": ("az://archive",), "object_urls": "always"})
        footage = await found("az://archive/cam 7/ü.mp4", sources)
        assert await content(footage) == BIG
        assert not footage.reachable, "a URL of such a name would be refused"
        await obstore.put_async(store, "cam/1.mp4", b"film", use_multipart=False)
        url = await (await found("az://archive/cam/1.mp4", sources)).fetch_url()
        async with httpx.AsyncClient(trust_env=False) as client:
            assert (await client.get(url)).content == b"film"
        await obstore.put_async(store, "cam 7/ü.mp4", BIG[::-1], use_multipart=False)
        with pytest.raises(SourceUnfinished, match="replaced"):
            await content(footage)
        with pytest.raises(SourceNotFound):
            await found("az://archive/cam 7/other.mp4", sources)
