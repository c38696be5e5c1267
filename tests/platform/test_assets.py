from __future__ import annotations

import asyncio
import resource
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson
import pytest
from aiohttp import BodyPartReader, web

from contracts.video import FileVideo
from service.footage.resolve import resolve
from service.platform.client import PlatformClient
from service.platform.errors import (
    NotFound,
    OutcomeUnknown,
    Rejected,
    SearchIncomplete,
    ServerFailed,
    SourceChanged,
    Unsendable,
)
from service.platform.marks import AssetMark
from service.platform.values import Asset
from service.settings import SourceSettings
from service.telemetry.metrics import Metrics
from tests.platform.conftest import KEY, MARK
from tests.platform.scripted import Scripted, Seen, answer, plain

Make = Callable[..., PlatformClient]
OURS: dict[str, Any] = {"mark": MARK, "request_id": "r-1"}
CREATED = {"_id": "a1", "status": "processing", "filename": "x.mp4", "created_at": "2026-03-04T05:00:00Z"}


@dataclass
class Bytes:
    """Memory as a source; counts how often it is open."""

    chunks: list[bytes]
    size: int | None
    opened: int = 0
    closed: int = 0

    def open(self) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        @asynccontextmanager
        async def opened() -> AsyncIterator[AsyncIterator[bytes]]:
            self.opened += 1

            async def chunks() -> AsyncIterator[bytes]:
                for chunk in self.chunks:
                    yield chunk

            try:
                yield chunks()
            finally:
                self.closed += 1

        return opened()


def source(*chunks: bytes) -> Bytes:
    return Bytes(list(chunks), sum(map(len, chunks)))


@dataclass
class Part:
    name: str | None
    filename: str | None
    content_type: str | None
    content: bytes


@pytest.fixture
async def parsed() -> AsyncIterator[tuple[str, list[list[Part]]]]:
    """The address of a server that takes forms apart with aiohttp's parser, and the forms it got."""
    forms: list[list[Part]] = []

    async def create(request: web.Request) -> web.Response:
        form: list[Part] = []
        assert request.content_length is not None
        assert "Transfer-Encoding" not in request.headers
        async for part in await request.multipart():
            assert isinstance(part, BodyPartReader)
            form.append(
                Part(part.name, part.filename, part.headers.get("Content-Type"), bytes(await part.read(decode=False)))
            )
        forms.append(form)
        return web.json_response(CREATED, status=201)

    app = web.Application(client_max_size=2**24)
    app.router.add_post("/v1.3/assets", create)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/v1.3", forms
    await runner.cleanup()


async def test_an_asset_is_made_from_a_url(make_client: Make, parsed: tuple[str, list[list[Part]]]) -> None:
    url, forms = parsed
    client = make_client(base_url=url)
    asset = await client.create_asset_from_url(
        "https://media.example.com/a.mp4?sig=ü&x=1", filename="ä b.mp4", mark=MARK, request_id="r-1"
    )
    assert asset == Asset("a1", "processing", created_at=1772600400.0)
    metadata = {**MARK.metadata(KEY), "request_id": "r-1"}
    assert [(part.name, part.content.decode()) for part in forms[0]] == [
        ("method", "url"),
        ("url", "https://media.example.com/a.mp4?sig=ü&x=1"),
        ("filename", "ä b.mp4"),
        ("enable_hls", "false"),
        ("enable_thumbnail", "false"),
        ("user_metadata", orjson.dumps(metadata).decode()),
    ]


@pytest.mark.parametrize("content", [b"", b"x", b"\r\n--\r\n", b"--boundary--\r\n" * 9, bytes(range(256)) * 5000])
async def test_a_file_comes_last_and_arrives_byte_for_byte(
    make_client: Make, parsed: tuple[str, list[list[Part]]], metrics: Metrics, content: bytes
) -> None:
    url, forms = parsed
    told: list[int] = []
    video = source(*(content[i : i + 65536] for i in range(0, len(content), 65536)))
    await make_client(base_url=url).create_asset_direct(
        video, filename='a"b\r\nc.mp4', content_type="video/mp4", **OURS, on_progress=told.append
    )
    *fields, file = forms[0]
    names = ["method", "filename", "enable_hls", "enable_thumbnail", "user_metadata"]
    assert [part.name for part in fields] == names
    assert (file.name, file.content_type, file.content) == ("file", "video/mp4", content)
    assert told == sorted(told)
    assert (told[-1] if told else 0) == len(content)
    assert metrics.registry.get_sample_value("reelwire_upload_bytes_total") == len(content)
    assert (video.opened, video.closed) == (1, 1)


async def test_a_source_is_opened_anew_for_every_attempt(platform: Scripted, client: PlatformClient) -> None:
    video = source(b"abc", b"def")
    platform.respond = answer(500, b"")
    with pytest.raises(ServerFailed):
        await client.create_asset_direct(video, filename="a.mp4", content_type="video/mp4", **OURS)
    platform.respond = answer(201, CREATED)
    await client.create_asset_direct(video, filename="a.mp4", content_type="video/mp4", **OURS)
    assert (video.opened, video.closed) == (2, 2)
    assert all(b"abcdef" in seen.body for seen in platform.seen)
    boundaries = {seen.headers["content-type"] for seen in platform.seen}
    assert len(boundaries) == 2


@pytest.mark.parametrize(("size", "word"), [(5, "grew"), (7, "shrank")])
async def test_a_source_that_is_not_as_long_as_it_said_is_named_as_the_cause(
    platform: Scripted, client: PlatformClient, size: int, word: str
) -> None:
    video = Bytes([b"abc", b"def"], size)
    with pytest.raises(SourceChanged, match=word):
        await client.create_asset_direct(video, filename="a.mp4", content_type="video/mp4", **OURS)
    assert video.closed == 1
    await platform.until(lambda: platform.open_connections == 0)
    assert platform.seen == []  # never a whole request


async def test_an_early_refusal_of_a_large_upload_is_reported_as_such(
    platform: Scripted, client: PlatformClient
) -> None:
    platform.early = plain(413, b"", "Connection: close")
    video = source(*[b"x" * 65536] * 1000)
    with pytest.raises(Rejected) as caught:
        await client.create_asset_direct(video, filename="a.mp4", content_type="video/mp4", **OURS)
    assert caught.value.answer is not None
    assert caught.value.answer.status == 413
    assert video.closed == 1
    await platform.until(lambda: platform.open_connections == 0)


async def test_a_server_that_stops_reading_ends_the_upload(platform: Scripted, make_client: Make) -> None:
    platform.stuck = True
    client = make_client(read_timeout_seconds=0.5)
    video = source(*[b"x" * 65536] * 2000)
    with pytest.raises(OutcomeUnknown):
        await client.create_asset_direct(video, filename="a.mp4", content_type="video/mp4", **OURS)
    assert video.closed == 1


async def test_a_slow_but_steady_upload_outlives_the_read_timeout(platform: Scripted, make_client: Make) -> None:
    platform.respond = answer(201, CREATED)
    platform.keep_bodies = False

    @dataclass
    class Slow:
        size: int | None = 20

        def open(self) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
            @asynccontextmanager
            async def opened() -> AsyncIterator[AsyncIterator[bytes]]:
                yield self.chunks()

            return opened()

        async def chunks(self) -> AsyncIterator[bytes]:
            loop = asyncio.get_running_loop()
            for number in range(20):
                started = loop.time()
                yield b"x"
                await platform.until(lambda least=number: platform.body_bytes > least)  # type: ignore[misc]
                waited: asyncio.Future[None] = loop.create_future()
                loop.call_at(started + 0.05, waited.set_result, None)
                await waited

    client = make_client(read_timeout_seconds=0.4)
    assert (await client.create_asset_direct(Slow(), filename="a.mp4", content_type="video/mp4", **OURS)).id == "a1"


async def test_a_large_file_is_sent_in_bounded_memory(
    platform: Scripted, client: PlatformClient, tmp_path: Path
) -> None:
    path = tmp_path / "large.mp4"
    size = 300 * 1024 * 1024
    with path.open("wb") as file:
        file.truncate(size)
    platform.keep_bodies = False
    platform.respond = answer(201, CREATED)
    video = await resolve(FileVideo(type="file", path=str(path)), SourceSettings(file_roots=(tmp_path,)))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    told: list[int] = []
    await client.create_asset_direct(
        video, filename=video.filename, content_type=video.content_type, **OURS, on_progress=told.append
    )
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    assert told[-1] == size
    assert platform.body_bytes == int(platform.seen[0].headers["content-length"])
    assert grown < 40 * 1024 * 1024


async def test_a_cancelled_upload_closes_file_and_connection(platform: Scripted, client: PlatformClient) -> None:
    video = source(*[b"x" * 65536] * 5000)
    reached = asyncio.Event()

    def progress(sent: int) -> None:
        if sent > 1_000_000:
            reached.set()

    task = asyncio.create_task(
        client.create_asset_direct(video, filename="a.mp4", content_type="video/mp4", **OURS, on_progress=progress)
    )
    await asyncio.wait_for(reached.wait(), 10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert video.closed == 1
    await platform.until(lambda: platform.open_connections == 0)


async def test_an_asset_is_read_with_tolerance(platform: Scripted, client: PlatformClient) -> None:
    platform.respond = answer(
        200, {"_id": "a", "status": "ready", "duration": 62.5, "size": 7340032, "user_metadata": {"k": "v"}, "hls": {}}
    )
    assert await client.get_asset("a") == Asset("a", "ready", duration=62.5, size=7340032)
    platform.respond = answer(200, {"_id": "a", "status": "failed", "error": {"message": "no video"}})
    assert (await client.get_asset("a")).error_message == "no video"
    platform.respond = answer(404, {"code": "resource_not_exist", "message": "m"})
    with pytest.raises(NotFound):
        await client.get_asset("a")


@pytest.mark.parametrize(
    "names", [{"url": "https://h/\ud83d.mp4"}, {"filename": "\udc00.mp4"}], ids=["address", "name"]
)
async def test_an_upload_that_can_not_be_written_is_never_sent(
    platform: Scripted, client: PlatformClient, names: dict[str, str]
) -> None:
    given = {"url": "https://h/a.mp4", "filename": "a.mp4"} | names
    with pytest.raises(Unsendable):
        await client.create_asset_from_url(given["url"], filename=given["filename"], **OURS)
    with pytest.raises(Unsendable):
        await client.create_asset_direct(source(b"x"), filename="\udc00.mp4", content_type="video/mp4", **OURS)
    assert platform.seen == []


def row(
    asset_id: str, metadata: Any = None, created_at: str = "2026-03-04T05:00:00Z", **members: Any
) -> dict[str, Any]:
    return {"_id": asset_id, "status": "ready", "created_at": created_at, "user_metadata": metadata, **members}


def listing(*pages: Any) -> Callable[[Seen, asyncio.StreamWriter], Any]:
    async def respond(seen: Seen, writer: asyncio.StreamWriter) -> None:
        page = int(parse_qs(urlsplit(seen.target).query)["page"][0])
        writer.write(plain(200, orjson.dumps({"data": pages[page - 1] if page <= len(pages) else []})))
        await writer.drain()

    return respond


async def test_assets_are_looked_for_until_a_page_is_empty(platform: Scripted, client: PlatformClient) -> None:
    ours = MARK.metadata(KEY)
    platform.respond = listing([row("a1", ours)], [row("a2", ours)], [row("a3", ours)], None)
    found = await client.find_assets("tok&n +ä", MARK, created_after=0)
    assert [asset.id for asset in found] == ["a1", "a2", "a3"]
    assert {parse_qs(urlsplit(seen.target).query)["filename"][0] for seen in platform.seen} == {"tok&n +ä"}


OTHER = AssetMark("5f" * 31 + "00", "reelwire")
FORGED: list[Any] = [
    None,
    "reelwire",
    [],
    {},
    {"reelwire": MARK.identity},
    {"reelwire": MARK.identity, "reelwire_owner": MARK.owner},
    MARK.metadata("another key"),
    MARK.metadata(KEY) | {"reelwire_proof": "é"},
    MARK.metadata(KEY) | {"reelwire_proof": None},
    MARK.metadata(KEY) | {"reelwire_proof": ["x"]},
    MARK.metadata(KEY) | {"reelwire_tenant": "acme"},
    {name: [value] for name, value in MARK.metadata(KEY).items()},
    OTHER.metadata(KEY),
    OTHER.metadata(KEY) | {"reelwire": MARK.identity},
    AssetMark(MARK.identity, "staging").metadata(KEY),
    AssetMark(MARK.identity, "staging").metadata(KEY) | {"reelwire_owner": "reelwire"},
    AssetMark(MARK.identity, "reelwire", "acme").metadata(KEY),
    AssetMark(MARK.identity, "reelwire", "").metadata(KEY),
]


@pytest.mark.parametrize("metadata", FORGED)
async def test_a_name_or_a_forged_mark_makes_no_asset_ours(
    platform: Scripted, client: PlatformClient, metadata: Any
) -> None:
    platform.respond = listing([row("a1", metadata, filename="token-video.mp4"), row("a2", MARK.metadata(KEY))])
    found = await client.find_assets("token", MARK, created_after=0)
    assert [asset.id for asset in found] == ["a2"]


async def test_a_row_that_makes_no_sense_hides_no_other(platform: Scripted, client: PlatformClient) -> None:
    platform.respond = listing([row("a1", MARK.metadata(KEY), status=7), row("a2", MARK.metadata(KEY), duration=-1)])
    found = await client.find_assets("token", MARK, created_after=0)
    assert [(asset.id, asset.duration) for asset in found] == [("a2", None)]


async def test_a_list_of_assets_without_end_is_not_taken_for_an_empty_one(
    platform: Scripted, client: PlatformClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.platform.walk.MAX_PAGES", 3)

    async def respond(seen: Seen, writer: asyncio.StreamWriter) -> None:
        page = parse_qs(urlsplit(seen.target).query)["page"][0]
        writer.write(plain(200, orjson.dumps({"data": [row(f"stranger-{page}")]})))

    platform.respond = respond
    with pytest.raises(SearchIncomplete):
        await client.find_assets("token", MARK, created_after=0)
