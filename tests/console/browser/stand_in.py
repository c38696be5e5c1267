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

PAGES = Path(service.__file__).parent / "console" / "pages"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
TOKEN = "open-sesame-for-tests"
TEXT = (
    "A forklift enters the loading bay from the left and stops beside the second gate. Two people in yellow vests walk "
    "towards it; one of them carries a clipboard. At 0:14 the load begins to tilt and the driver lowers the fork. "
)
WORDS = TEXT.split()
_PHASES = ("streaming", "streaming", "streaming", "watching", "accepted", "ready", "calling", "creating")
_TENANTS = ("acme-logistics", "harbour", "metro-cctv", None, "north-mall", "studio-7", "warehouse-eu")
_CODES = ("rejected", "source_not_found", "platform_unavailable")
_WAITS = ("quota", "turn", "batch")


class Scene:
    """Made-up requests and dead letters. `busy`: how many rows change in each quarter of a second."""

    def __init__(self, *, live: int = 40, ended: int = 160, busy: int = 20, letters: int = 12, seed: int = 7) -> None:
        self.left_out = 0
        self._random = random.Random(seed)
        self._total = live + ended
        self._numbers = itertools.count(self._total)
        self.busy = busy
        self.signed_in = False
        self.actions_offered = True
        self.now = int(time.time() * 1000)
        self.jobs = {row["id"]: row for row in (self._row(number, number >= ended) for number in range(live + ended))}
        self.letters = [self._letter(number) for number in range(letters)]
        self.done: list[str] = []
        self.viewers = 0
        """Streams of the list that are open."""
        self.wrong: dict[str, str] = {}
        """What `/health/ready` says is wrong."""

    def _row(self, number: int, is_live: bool) -> dict[str, Any]:
        chance = self._random
        age = (self._total - number) * 1_300 + chance.randrange(600)
        accepted = self.now - max(500, age)
        phase = (
            chance.choice(_PHASES) if is_live else chance.choices(("completed", "failed", "canceled"), (90, 8, 2))[0]
        )
        mode = {"streaming": "stream", "calling": "sync", "watching": "async", "creating": "async"}.get(phase, "stream")
        billed = round(chance.uniform(0.2, 9), 2)
        return {
            "id": f"cam{number % 24}-{918_000 + number}",
            "run": 2 if number % 97 == 5 else 1,
            "phase": phase,
            "mode": None if phase in ("accepted", "ready") else mode,
            "key": f"cam{number % 24}",
            "tenant": _TENANTS[number % len(_TENANTS)],
            "priority": "normal",
            "accepted_ms": accepted,
            "updated_ms": accepted + 400,
            "ended_ms": None if is_live else accepted + chance.randrange(3_000, 90_000),
            "code": chance.choice(_CODES) if phase == "failed" else None,
            "attempt": 1 if chance.random() < 0.92 else 2,
            "waits": chance.choice(_WAITS) if phase == "ready" and chance.random() < 0.6 else None,
            "partition": number % 6,
            "process": f"reelwire-{number % 3}" if is_live else None,
            "cost": round(billed * 0.05, 4) if phase == "completed" else None,
            "billed_minutes": billed if phase == "completed" else None,
            "characters": chance.randrange(200, 6_000) if phase in ("streaming", "completed") else 0,
        }

    def _letter(self, number: int) -> dict[str, Any]:
        code, message = (
            ("not_json", "the value is no JSON: unexpected character at line 1 column 1"),
            ("invalid", "video.url: must begin with http:// or https://"),
            ("not_utf8", "the value is not UTF-8: byte 0xff at position 14"),
            ("too_large", "the value has 9,437,184 bytes, more than the 8,388,608 that are read"),
        )[number % 4]
        value = (
            b'{"request_id": "\xff\xfe' if code == "not_utf8" else b'{"request_id": "cam7-1", "video": {"type": "url"'
        )
        return {
            "partition": number % 3,
            "offset": 100 + number,
            "time_ms": self.now - number * 173_000,
            "code": code,
            "message": message,
            "request_id": f"cam{number}-1" if code == "invalid" else None,
            "source": {"topic": "reelwire.requests", "partition": number % 6, "offset": 40_000 + number},
            "bytes": len(value),
            "state": "open",
            "redrivable": code != "too_large",
            "value": value,
        }

    def add(self, **members: Any) -> dict[str, Any]:
        """A new request."""
        row = self._row(next(self._numbers), is_live=True) | members
        row["accepted_ms"] = members.get("accepted_ms", int(time.time() * 1000))
        self.jobs[row["id"]] = row
        return row

    def changes(self) -> list[dict[str, Any]]:
        """Let something happen, and return the rows that changed."""
        running = [row for row in self.jobs.values() if row["ended_ms"] is None]
        changed = self._random.sample(running, min(self.busy, len(running)))
        for row in changed:
            row["updated_ms"] = int(time.time() * 1000)
            if row["phase"] == "streaming":
                row["characters"] += self._random.randrange(20, 90)
        return changed

    def counts(self) -> dict[str, Any]:
        """What every event of the list says."""
        ended = sum(row["ended_ms"] is not None for row in self.jobs.values())
        return {
            "phases": dict(Counter(row["phase"] for row in self.jobs.values())),
            "live": len(self.jobs) - ended,
            "ended": ended,
            "left_out": self.left_out,
            "fragments_per_second": self.busy * 12.5,
        }

    def detail(self, row: dict[str, Any]) -> dict[str, Any]:
        """All that is known of one request."""
        start = row["accepted_ms"]
        end = row["ended_ms"]
        text = TEXT + "\n\n" + " ".join(WORDS[:20])
        if row["characters"] == 0:
            text = ""
        steps = [
            ("accepted", 0, {}),
            ("uploading", 300, {"bytes_sent": 18_874_368, "bytes_total": 25_165_824, "route": "direct"}),
            ("asset_ready", 2_400, {"asset_id": "68c2e1f0", "duration": 96.4, "reused": False}),
            ("stream_started", 3_100, {}),
        ]
        ended = None
        if row["phase"] == "failed":
            ended = {
                "type": "failed",
                "error": {
                    "code": row["code"],
                    "message": "The platform refused the request: the video has no picture.",
                    "stage": "analysis",
                    "retryable": row["code"] == "platform_unavailable",
                    "platform": {"status": 400, "code": "video_no_picture", "message": "Video track is missing."},
                },
            }
        elif row["phase"] == "canceled":
            ended = {"type": "canceled", "reason": "asked for by a cancel record"}
        elif row["phase"] == "completed":
            usage = {"input_tokens": 18_220, "output_tokens": 412, "billed_minutes": row["billed_minutes"]}
            ended = {"type": "completed", "text": text, "usage": usage, "finish_reason": "stop"}
        segments = [
            ("arrival", 0, 14.5, {"vehicle": "forklift"}),
            ("people", 9, 41, {"count": 2, "clothing": "yellow vests"}),
            ("incident", 14, 22.25, {"what": "the load tilts", "severity": "low"}),
            ("arrival", 48, 63, {"vehicle": "lorry"}),
            ("people", 70, 96.4, {"count": 1}),
        ]
        upload = end is not None or row["phase"] != "accepted"
        return row | {
            "prompt": "Describe any incident, with timestamps.",
            "video": {"type": "url", "url": "https://media.example.com/cam7/918273.mp4"},
            "request": {
                "type": "analyze",
                "request_id": row["id"],
                "video": {"type": "url", "url": "https://media.example.com/cam7/918273.mp4"},
                "prompt": "Describe any incident, with timestamps.",
                "tenant": row["tenant"],
            },
            "progress": [
                {"time_ms": start + after, "stage": stage, "attempt": 1, "detail": detail}
                for stage, after, detail in steps
            ],
            "spans": [
                {"label": "queued", "attempt": 1, "from_ms": start, "to_ms": start + 300},
                {"label": "upload", "attempt": 1, "from_ms": start + 300, "to_ms": start + 2_400},
                {"label": "waiting: quota", "attempt": 1, "from_ms": start + 2_400, "to_ms": start + 3_100},
                {"label": "stream", "attempt": row["attempt"], "from_ms": start + 3_100, "to_ms": end},
            ][: 4 if upload else 1],
            "completion": ended,
            "segments": [
                {"start_s": begin, "end_s": stop, "label": label, "detail": detail}
                for label, begin, stop, detail in segments
                if row["phase"] == "completed"
            ],
            "duration_s": 96.4,
            "text": text or None,
            "cursor": f"1.1.{len(text.split())}.0.0",
        }


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
            for tenant in _TENANTS
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
