"""A stand-in for the console's server: the same interface over made-up requests, as many and as busy as wanted.

For pictures and for tests of the page alone. `python -m tests.console.browser.stand_in --port 8091` serves it.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import itertools
import json
import random
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

import service
from tests.console.browser.scene import TENANTS, WORDS, Scene

PAGES = Path(service.__file__).parent / "console" / "pages"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
TOKEN = "open-sesame-for-tests"


def event(name: str, data: dict[str, Any], cursor: str | None = None) -> str:
    """One server-sent event."""
    return f"event: {name}\n{f'id: {cursor}' + chr(10) if cursor else ''}data: {json.dumps(data)}\n\n"


class _Headers:
    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_policy(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"content-security-policy", POLICY.encode())]
            await send(message)

        await self._app(scope, receive, with_policy)


def application(scene: Scene) -> Starlette:
    """The interface of the console over `scene`."""

    async def session(request: Request) -> Response:
        if request.method == "POST":
            if (await request.json())["token"] != TOKEN:
                return JSONResponse({"error": "The token is wrong."}, 403)
            scene.signed_in = True
        elif request.method == "DELETE":
            scene.signed_in = False
        return JSONResponse(
            {
                "actions": scene.signed_in,
                "actions_offered": scene.actions_offered,
                "csrf": "c" * 32 if scene.signed_in else None,
                "currency": "USD",
                "topics": {"requests": "reelwire.requests"},
                "version": "0.0",
            }
        )

    async def jobs(request: Request) -> Response:
        query = request.query_params
        state, limit = query.get("state", "all"), int(query.get("limit", "100"))
        found = [
            row
            for row in sorted(scene.jobs.values(), key=lambda one: (-one["accepted_ms"], one["id"]))
            if (state == "all" or (row["ended_ms"] is None) == (state == "live"))
            and all(query.get(name) in (None, row[name]) for name in ("phase", "mode", "key", "tenant", "code"))
            and query.get("text", "") in row["id"]
            and int(query.get("since", "0")) <= row["accepted_ms"] < int(query.get("until", "9" * 15))
        ]
        first = int(query.get("before", "0"))
        page = found[first : first + limit]
        more = str(first + limit) if first + limit < len(found) else None
        return JSONResponse({"jobs": page, "next": more, "matching": len(found), **scene.counts()})

    async def job(request: Request) -> Response:
        row = scene.jobs.get(request.path_params["id"])
        if row is None:
            return JSONResponse({"error": "no request of this id is live or among the last 2000 that ended"}, 404)
        return JSONResponse(scene.detail(row))

    async def live(_request: Request) -> Response:
        async def body() -> AsyncIterator[str]:
            scene.viewers += 1
            try:
                yield event("rows", {"rows": [], "texts": {}, **scene.counts()})
                while True:
                    await asyncio.sleep(0.25)
                    yield event("rows", {"rows": scene.changes(), "texts": {}, **scene.counts()})
            finally:
                scene.viewers -= 1

        return StreamingResponse(body(), media_type="text/event-stream")

    async def events(request: Request) -> Response:
        async def body() -> AsyncIterator[str]:
            start = int((request.query_params.get("cursor") or "1.1.0.0.0").split(".")[2])
            for index in itertools.count(start):
                await asyncio.sleep(0.02)
                word = WORDS[index % len(WORDS)]
                data = {"attempt": 1, "index": index, "text": f" {word}", "time_ms": 0}
                yield event("fragment", data, f"1.1.{index + 1}.0.0")

        return StreamingResponse(body(), media_type="text/event-stream")

    async def letters(request: Request) -> Response:
        query = request.query_params
        shown = [
            {name: value for name, value in one.items() if name != "value"}
            for one in scene.letters
            if query.get("state") in (None, one["state"]) and query.get("code") in (None, one["code"])
        ]
        counts = Counter(one["code"] for one in scene.letters if query.get("state") in (None, one["state"]))
        return JSONResponse({"letters": shown, "next": None, "codes": counts})

    def letter_of(request: Request) -> dict[str, Any]:
        place = (request.path_params["partition"], request.path_params["offset"])
        return next(one for one in scene.letters if (one["partition"], one["offset"]) == place)

    async def letter(request: Request) -> Response:
        one = letter_of(request)
        value: bytes = one["value"]
        text = None if one["code"] == "not_utf8" else value.decode()
        shown = {name: member for name, member in one.items() if name != "value"}
        headers = [
            ["dlq.error.code", one["code"]],
            ["traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"],
        ]
        more = {"key_text": "cam7", "headers": headers, "value_text": text, "truncated": False}
        return JSONResponse(shown | more | {"value_base64": base64.b64encode(value).decode()})

    async def act(request: Request) -> Response:
        if request.headers.get("x-csrf-token") != "c" * 32 or not scene.signed_in:
            return JSONResponse({"error": "sign in first"}, 403)
        what = request.url.path.rsplit("/", 1)[1]
        scene.done.append(request.url.path)
        if what == "cancel":
            scene.jobs[request.path_params["id"]]["phase"] = "canceling"
        else:
            letter_of(request)["state"] = "redriven" if what == "redrive" else "discarded"
        return JSONResponse({"message": f"Done: {what}."})

    async def cost(request: Request) -> Response:
        days = int(request.query_params.get("days", "14"))
        chance = random.Random(3)
        today = time.time()
        found = [
            {
                "day": time.strftime("%Y-%m-%d", time.gmtime(today - back * 86_400)),
                "tenant": tenant,
                "cost": round(minutes * 0.05, 4),
                "minutes": minutes,
                "requests": int(minutes),
            }
            for back in range(days)
            for tenant in TENANTS
            if (minutes := round(chance.uniform(10, 190), 2)) > 30
        ]
        return JSONResponse({"currency": "USD", "days": found, "limit": 50.0})

    async def partitions(_request: Request) -> Response:
        now = int(time.time() * 1000)
        rows = [
            {
                "partition": number,
                "owner": None if number == 5 else f"reelwire-{number % 3}",
                "lag": 18 if number == 5 else 0,
                "held": 5 + number * 3,
                "oldest_ms": now - 9_000 * (number + 1),
                "state": "unserved" if number == 5 else "served",
            }
            for number in range(6)
        ]
        members = [
            {
                "client_id": f"reelwire-{at}",
                "host": f"/172.18.0.{at + 4}",
                "partitions": [p for p in range(5) if p % 3 == at],
            }
            for at in range(3)
        ]
        return JSONResponse({"group": "reelwire", "members": members, "partitions": rows})

    async def ready(_request: Request) -> Response:
        conditions = {name: {"ok": False, "detail": words} for name, words in scene.wrong.items()}
        return JSONResponse({"conditions": conditions}, 503 if scene.wrong else 200)

    async def index(_request: Request) -> Response:
        return FileResponse(PAGES / "index.html")

    letter_path = "/api/dead-letters/{partition:int}/{offset:int}"
    return Starlette(
        routes=[
            Route("/", index),
            Mount("/pages", StaticFiles(directory=PAGES)),
            Route("/api/session", session, methods=["GET", "POST", "DELETE"]),
            Route("/api/jobs", jobs),
            Route("/api/live", live),
            Route("/api/jobs/{id}", job),
            Route("/api/jobs/{id}/events", events),
            Route("/api/jobs/{id}/cancel", act, methods=["POST"]),
            Route("/api/dead-letters", letters),
            Route(letter_path, letter),
            Route(f"{letter_path}/redrive", act, methods=["POST"]),
            Route(f"{letter_path}/discard", act, methods=["POST"]),
            Route("/api/cost", cost),
            Route("/api/partitions", partitions),
            Route("/health/ready", ready),
        ],
        middleware=[Middleware(_Headers)],
    )


@asynccontextmanager
async def listening(app: Starlette, port: int = 0) -> AsyncIterator[str]:
    """Serve `app` on this machine while the block runs. Yields its URL."""
    config = uvicorn.Config(app, host="127.0.0.1", port=port, log_level="error", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    task = asyncio.create_task(server._serve())
    while not server.started:
        await asyncio.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        await task


@asynccontextmanager
async def served(scene: Scene, port: int = 0) -> AsyncIterator[str]:
    """Serve `scene` while the block runs. Yields its URL."""
    async with listening(application(scene), port) as url:
        yield url


async def _main() -> None:
    parser = argparse.ArgumentParser(description="Serves the console's page over made-up requests.")
    parser.add_argument("--port", type=int, default=8091)
    parser.add_argument("--live", type=int, default=60)
    parser.add_argument("--busy", type=int, default=20)
    given = parser.parse_args()
    async with served(Scene(live=given.live, busy=given.busy), given.port) as url:
        print(url, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_main())
