"""What a stranger may send to the console's port: each ends in a clear answer, soon, and costs nobody else anything."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import orjson
import pytest

from service.console import server
from service.console.http import access, connection, reading
from service.console.server import Console
from service.sandbox.addresses import HOST
from tests.console.conftest import TOKEN
from tests.console.test_board import complete
from tests.console.test_server import settings_of
from tests.console.wire import job_of
from tests.support.waiting import until

pytestmark = pytest.mark.integration

LARGE = 8 * 1024 * 1024


@asynccontextmanager
async def console(**settings: object) -> AsyncIterator[tuple[Console, httpx.AsyncClient]]:
    """A console that has no broker, and a client of it."""
    async with Console(settings_of(token=TOKEN, **settings)) as here:
        url = f"http://{HOST}:{here.port}"
        async with httpx.AsyncClient(base_url=url, timeout=20, headers={"Origin": url}) as client:
            yield here, client


async def said(port: int, *parts: bytes, eof: bool = False) -> bytes:
    """Everything the console answers to these bytes, until it closes the connection."""
    async with asyncio.timeout(20):
        reader, writer = await asyncio.open_connection(HOST, port)
        try:
            for part in parts:
                writer.write(part)
                await writer.drain()
            if eof:
                writer.write_eof()
            return await reader.read()
        except ConnectionError as error:
            return repr(error).encode()
        finally:
            writer.close()


def head(path: bytes = b"/api/jobs", *lines: bytes, method: bytes = b"GET") -> bytes:
    return b"\r\n".join([b"%b %b HTTP/1.1" % (method, path), b"Host: localhost", *lines, b"", b""])


async def test_a_request_that_is_not_sent_to_its_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "REQUEST_SECONDS", 0.3)
    monkeypatch.setattr(access, "_BODY_SECONDS", 0.1)
    async with console() as (here, client):
        origin = b"Origin: http://localhost"
        nothing, half_a_head, dripping, half_a_body, cut_off, idle = await asyncio.gather(
            said(here.port),
            said(here.port, b"GET /api/jobs HTTP/1.1\r\nHost: loc"),
            said(here.port, b"\r\n" * 10),
            said(here.port, head(b"/api/session", origin, b"Content-Length: 10", method=b"POST"), b'{"to'),
            said(here.port, head(b"/api/session", origin, b"Content-Length: 10", method=b"POST"), b'{"to', eof=True),
            said(here.port, head(b"/api/session", b"Content-Length: 10")),
        )
        assert nothing == dripping == b""
        assert half_a_head.startswith(b"HTTP/1.1 408 ")
        assert half_a_body.startswith(b"HTTP/1.1 408 ")
        assert b"the body did not come within" in half_a_body
        assert b" 408 " in cut_off or b" 400 " in cut_off or cut_off == b""
        assert idle.startswith(b"HTTP/1.1 200 ")
        assert (await client.get("/api/jobs")).status_code == 200
        assert here._server is not None
        state = here._server.server_state
        await until(lambda: len(state.connections) == 1, "only the client's own connection is left", 10)


@pytest.mark.parametrize(
    ("part", "again"),
    [
        (b"GET /" + b"a" * 30_000, b"a" * 30_000),
        (head()[:-2] + b"X-A: " + b"a" * 30_000, b"a" * 30_000),
        (head()[:-2], b"X-A: a\r\n" * 4_000),
    ],
    ids=["address", "value", "headers"],
)
async def test_a_head_without_end_is_refused(part: bytes, again: bytes) -> None:
    async with console() as (here, _):
        answer = await said(here.port, part, *[again] * 12)
    assert answer.startswith(b"HTTP/1.1 431 ") or b"Reset" in answer or b"Pipe" in answer


@pytest.mark.parametrize(
    "noise", [b"\x16\x03\x01\x02\x00\x01", b"hello\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\x00" * 99]
)
async def test_what_is_no_http_is_told_so(noise: bytes) -> None:
    async with console() as (here, _):
        answer = await said(here.port, noise)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert "error" in orjson.loads(answer.partition(b"\r\n\r\n")[2])


NUMBER = "9" * 5_000
REFUSED = {
    f"/api/dead-letters/{NUMBER}/0": 404,
    f"/api/dead-letters/0/{NUMBER}": 404,
    "/api/dead-letters/-1/0": 404,
    "/api/dead-letters/0/1e3": 404,
    "/api/dead-letters/%D9%A1/0": 404,
    f"/api/dead-letters?before={NUMBER}.1.1": 400,
    "/api/dead-letters?state=lost": 400,
    f"/api/jobs?before={NUMBER}.1.a": 400,
    "/api/jobs?before=1.x": 400,
    "/api/jobs?limit=-1": 400,
    "/api/jobs?since=1.5": 400,
    f"/api/jobs?until={NUMBER}": 400,
    "/api/cost?days=-3": 400,
    "/api/cost?days=%00": 400,
    "/api/jobs/": 404,
    "/api/jobs/a%2Fb%3Fc%23d%25e": 404,
    f"/api/jobs/{'%C3%BC' * 512}": 404,
    "/api/jobs/%FF%00": 404,
    "/api/jobs/a/events": 404,
    "/pages/../app.py": 404,
    "/pages/%2e%2e/app.py": 404,
    "/pages/..%2f..%2fsettings%2fconsole.py": 404,
    "/pages//etc/passwd": 404,
    "/pages/%2Fetc%2Fpasswd": 404,
    "/pages/%00": 404,
    f"/pages/{'a' * 5_000}": 404,
    "/pages": 404,
    "//evil.example.com/": 404,
}


async def test_every_strange_address_has_a_sentence_for_an_answer() -> None:
    async with console() as (here, _):
        for path, status in REFUSED.items():
            answer = await said(here.port, head(path.encode(), b"Connection: close"))
            first, _, body = answer.partition(b"\r\n\r\n")
            assert first.startswith(b"HTTP/1.1 %d " % status), (path[:80], answer[:200])
            assert orjson.loads(body)["error"], path[:80]
            assert b"location" not in first.lower(), path[:80]


@pytest.mark.parametrize("method", ["HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH"])
async def test_other_methods_end_at_once(method: str) -> None:
    async with console(stream_secret="s" * 32) as (here, client), asyncio.timeout(10):
        here.state.hub.board.take_job(0, 1, "a", job_of("a"))
        for path in ("/api/live", "/api/jobs", "/api/jobs/a/events", "/stream/a", "/", "/pages/app.js"):
            answer = await client.request(method, path)
            assert answer.status_code in (200, 204, 403, 405), (method, path)
        assert here.state.hub.viewers == 0


async def test_ids_of_foreign_records_lead_to_their_request() -> None:
    names = ["a/b", "a%2Fb", "a?b#c%", "ü/…/\u202e", " ", "x" * 512, "..", "a/events/b"]
    async with console() as (here, client):
        for number, name in enumerate(names):
            here.state.hub.board.take_job(0, number, name, job_of(name))
        for name in names:
            path = httpx.URL(f"/api/jobs/{_quoted(name)}")
            assert (await client.get(path)).json()["id"] == name


def _quoted(name: str) -> str:
    """As a page's `encodeURIComponent` does; of dots alone no browser keeps an address."""
    return "".join(f"%{byte:02X}" for byte in name.encode())


async def test_the_body_of_a_post_is_small_and_json() -> None:
    async with console() as (_, client):
        for body, status in ((b"x" * 5_000, 413), (b"[]", 400), (b"\xff", 400), (b"[" * 4_000, 400), (b"", 403)):
            assert (await client.post("/api/session", content=body)).status_code == status
        for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
            headers = {"Content-Type": kind, "Origin": "https://evil.example.com"}
            answer = await client.post("/api/session", content=orjson.dumps({"token": TOKEN}), headers=headers)
            assert answer.status_code == 403
            assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    "name",
    [
        "evil.example.com",
        "127.0.0.1.nip.io",
        "localhost.evil.example.com",
        "evil.example.com@localhost.x",
        "",
        "2130706433",
    ],
)
async def test_a_name_that_a_stranger_made_lead_here_is_refused(name: str) -> None:
    async with console() as (here, _):
        host = f"Host: {name}:{here.port}".encode()
        answer = await said(here.port, b"GET /api/jobs HTTP/1.1\r\n" + host + b"\r\nConnection: close\r\n\r\n")
        two = b"\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        double = await said(here.port, b"GET /api/jobs HTTP/1.1\r\n" + host + two)
    assert answer.startswith(b"HTTP/1.1 421 ")
    assert double.startswith((b"HTTP/1.1 421 ", b"HTTP/1.1 400 "))


async def test_connections_beyond_their_number_are_closed_and_the_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "_CONNECTIONS_BESIDE", 5)
    async with console(max_viewers=1) as (here, client):
        assert (await client.get("/api/jobs")).status_code == 200
        open_ones = [await asyncio.open_connection(HOST, here.port) for _ in range(5)]
        one_more = await said(here.port, head())
        assert one_more == b"" or b"Reset" in one_more
        assert (await client.get("/api/jobs")).status_code == 200
        for _, writer in open_ones:
            writer.close()


async def test_a_client_that_never_reads_is_dropped_and_holds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "READ_SECONDS", 0.5)
    async with console() as (here, client):
        complete(here.state.hub.board, text="x" * LARGE)
        unread = []
        for path in (b"/api/jobs/a", b"/api/jobs/a/events") * 4:
            one = socket.socket()
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            one.connect((HOST, here.port))
            one.sendall(head(path))
            unread.append(one)
        await until(lambda: here.state.hub.viewers == 4, "the streams are open", 10)
        await until(lambda: here.state.hub.viewers == 0, "the streams are dropped", 10)
        answer = await client.get("/api/jobs/a")
        assert len(answer.json()["text"]) == LARGE
        for one in unread:
            one.close()


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="this system can't bound it")
async def test_a_client_that_vanishes_without_a_word_is_given_up_by_the_kernel() -> None:
    async with console() as (here, client), client.stream("GET", "/api/live"):
        assert here._server is not None
        for one in here._server.server_state.connections:
            mine = one.transport.get_extra_info("socket")
            limit = mine.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
            assert limit == connection.READ_SECONDS * 1000


async def test_requests_beyond_what_can_be_answered_are_told_when_to_come_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reading, "_WAIT_SECONDS", 0.1)
    async with console() as (here, client):
        for _ in range(4):
            await here.state.large.acquire()
        complete(here.state.hub.board, text="x" * 100_000)
        answer = await client.get("/api/jobs/a")
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0
    assert "try again later" in answer.json()["error"]
