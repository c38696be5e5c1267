"""The official SDK's upload of large files, unchanged, against the emulator."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from twelvelabs import AsyncTwelveLabs, TwelveLabs

from service.emulator.http.server import Emulator
from service.emulator.options import EmulatorOptions
from tests.emulator.conftest import FAST, until


@pytest.fixture
async def emulator(clip: Path) -> AsyncIterator[Emulator]:
    """Its chunks are so small that the clip has 25 of them."""
    size = -(-clip.stat().st_size // 25)
    async with Emulator(EmulatorOptions(pace=FAST, chunk_bytes=size)) as emulator:
        yield emulator


@pytest.fixture
async def sdk(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Any]:
    monkeypatch.setenv("TWELVELABS_BASE_URL", emulator.base_url)
    client = AsyncTwelveLabs(api_key="any")
    yield client
    await client._client_wrapper.httpx_client.httpx_client.aclose()


async def test_a_file_uploaded_in_chunks_becomes_a_ready_asset_with_its_bytes(
    sdk: Any, emulator: Emulator, clip: Path
) -> None:
    seen: list[int] = []

    async def progress(told: Any) -> None:
        seen.append(told.completed_chunks)

    result = await sdk.multipart_upload.upload_file(str(clip), file_type="video", progress_callback=progress)

    async def look() -> Any:
        found = await sdk.assets.retrieve(result.asset_id)
        return found if found.status != "processing" else None

    asset = await until(look)
    stats = emulator.stats()
    assert (asset.status, asset.method, asset.size) == ("ready", "multipart", clip.stat().st_size)
    assert result.asset_url
    assert stats["assets"]["by_sha256"] == {hashlib.sha256(clip.read_bytes()).hexdigest(): [result.asset_id]}
    assert stats["storage"] == {"puts": 25, "bytes": clip.stat().st_size, "refused": 0, "with_api_key": 0}
    assert seen == [10, 20, 25]


async def test_a_chunk_whose_put_fails_is_sent_again_on_the_same_url(sdk: Any, emulator: Emulator, clip: Path) -> None:
    emulator.add_fault(operation="chunk_put", nth=3, do={"status": 503})
    result = await sdk.multipart_upload.upload_file(str(clip), file_type="video", retry_delay=0.01)

    assert result.asset_id
    assert emulator.stats()["storage"]["puts"] == 26


async def test_the_synchronous_client_uploads_as_well(
    emulator: Emulator, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TWELVELABS_BASE_URL", emulator.base_url)

    def upload() -> Any:
        client = TwelveLabs(api_key="any")
        try:
            return client.multipart_upload.upload_file(str(clip), file_type="video")
        finally:
            client._client_wrapper.httpx_client.httpx_client.close()

    assert (await asyncio.to_thread(upload)).asset_id


async def test_the_status_and_the_list_of_unfinished_uploads_page_to_their_end(sdk: Any) -> None:
    made = [await sdk.multipart_upload.create(filename="a.mp4", type="video", total_size=999_999) for _ in range(3)]

    chunks = [chunk async for chunk in await sdk.multipart_upload.get_status(made[0].upload_id, page_limit=50)]
    listed = [item async for item in await sdk.multipart_upload.list_incomplete_uploads(page_limit=2)]

    assert [chunk.index for chunk in chunks] == list(range(1, made[0].total_chunks + 1))
    assert {chunk.status for chunk in chunks} == {"pending"}
    assert [item.upload_id for item in listed] == [one.upload_id for one in reversed(made)]
