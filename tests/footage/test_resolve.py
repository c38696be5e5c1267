from __future__ import annotations

import base64
import hashlib
import os

import pytest
from pydantic import TypeAdapter

from contracts.video import AssetVideo, Base64Video, UrlVideo, Video
from service.footage.errors import SourceNotAllowed, SourceUnreadable
from service.footage.footage import CHUNK_BYTES, Footage
from service.footage.inline import SLICE_CHARS, base64_footage
from service.footage.remote import url_footage
from service.footage.resolve import resolve
from service.settings import SourceSettings

SOURCES = SourceSettings()


async def url(text: str, key: str | None = None) -> Footage:
    return await resolve(UrlVideo(type="url", url=text, key=key), SOURCES)


async def content(footage: Footage) -> bytes:
    async with footage.open() as chunks:
        return b"".join([chunk async for chunk in chunks])


async def test_a_url_is_handed_on_and_never_fetched() -> None:
    footage = await url("https://media.example.com/cam%207/a.MP4?sig=secret")
    assert footage.url == "https://media.example.com/cam%207/a.MP4?sig=secret"
    assert (footage.filename, footage.content_type, footage.size) == ("a.MP4", "video/mp4", None)
    assert "secret" not in repr(footage)
    with pytest.raises(ValueError, match="not ours to read"):
        footage.open()


async def test_urls_are_the_same_video_when_they_are_exactly_equal() -> None:
    one = await url("https://media.example.com/a.mp4")
    assert one.identity == (await url("https://media.example.com/a.mp4")).identity
    assert one.identity != (await url("https://media.example.com/a.mp4?x")).identity
    assert len(bytes.fromhex(one.identity)) == 32


@pytest.mark.parametrize("bad", ["file:///etc/passwd", "ftp://h/a.mp4", "https://", "http://[::1", "a.mp4", "s3://b/k"])
def test_other_schemes_are_not_allowed(bad: str) -> None:
    with pytest.raises(SourceNotAllowed):
        url_footage(bad)


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("https://h", "video"),
        ("https://h/a/", "a"),
        ("https://h/%0D%0Ax.mp4", "x.mp4"),
        ("https://h/" + "x" * 300 + ".mp4", ("x" * 300 + ".mp4")[-255:]),
    ],
)
def test_the_name_of_a_url_is_its_last_segment_made_safe(address: str, name: str) -> None:
    assert url_footage(address).filename == name


async def test_kinds_of_identity_never_meet() -> None:
    same = "https://media.example.com/a.mp4"
    assert (await url(same)).identity != (await url("https://media.example.com/b.mp4", key=same)).identity


async def test_a_key_unites_sources_of_different_kinds() -> None:
    asset = await resolve(AssetVideo(type="asset_id", asset_id="66f0", key="clip"), SOURCES)
    assert asset.asset_id == "66f0"
    assert asset.identity == (await url("https://media.example.com/a.mp4", key="clip")).identity


@pytest.mark.parametrize("size", [1, 2, 3, 100, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES - 1])
async def test_base64_is_decoded_in_chunks_and_named_by_its_bytes(size: int) -> None:
    data = os.urandom(size)
    encoded = base64.b64encode(data).decode()
    padded = await resolve(Base64Video(type="base64_string", base64_string=encoded), SOURCES)
    bare = await resolve(Base64Video(type="base64_string", base64_string=encoded.rstrip("=")), SOURCES)
    assert padded.identity == bare.identity
    assert padded.size == bare.size == size
    assert await content(padded) == await content(padded) == await content(bare) == data
    assert padded.identity != hashlib.sha256(data).hexdigest()  # the kind is part of it
    async with padded.open() as chunks:
        assert max([len(chunk) async for chunk in chunks]) <= CHUNK_BYTES


@pytest.mark.parametrize(
    "bad", ["A", "A===", "AA=A", "AA==AAAA", "AAA=AAAA", "AA A", "AA\nAA", "A-_A", "Ä" * 4, "====", ""]
)
async def test_what_is_no_base64_is_unreadable(bad: str) -> None:
    with pytest.raises(SourceUnreadable):
        await base64_footage(bad)


async def test_padding_between_two_slices_is_noticed() -> None:
    first = base64.b64encode(b"x" * (SLICE_CHARS // 4 * 3 - 1)).decode()
    assert first.endswith("=")
    assert len(first) == SLICE_CHARS
    with pytest.raises(SourceUnreadable):
        await base64_footage(first + first)


async def test_every_source_of_the_contract_is_known() -> None:
    for sample in (
        {"type": "url", "url": "https://h/a.mp4"},
        {"type": "asset_id", "asset_id": "a1"},
        {"type": "base64_string", "base64_string": "AAAA"},
    ):
        video = TypeAdapter[Video](Video).validate_python(sample)
        assert (await resolve(video, SOURCES)).kind == sample["type"]
