"""The stand-in's tasks and assets: how long each takes is told by its prompt, and how it is looked at is counted.

A prompt has words `name=value`: `task` (seconds until it is ready; without it never), `video` (seconds of its video),
`hook` (the port that is told of its end) and `kind` (what the measurement calls it).
"""

from __future__ import annotations

import asyncio
import hashlib
import heapq
import hmac
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from typing import Any
from urllib.parse import parse_qs

import orjson

from benchmarks.workload import now_us
from service.sandbox.addresses import HOST

HOOK_SECRET = "whsec_bench"
_PAGE = 50
_LONGEST_ASSET_SECONDS = 5.0
_GOLDEN = 0.618033988749895


@dataclass(slots=True)
class _Task:
    id: str
    kind: str
    created_us: int
    ends_us: int | None
    video: float | None
    looks: int = 0
    rows: int = 0
    seen_us: int | None = None

    def ended(self) -> bool:
        return self.ends_us is not None and now_us() >= self.ends_us

    def row(self) -> dict[str, Any]:
        shown: dict[str, Any] = {
            "task_id": self.id,
            "custom_id": None,
            "status": "processing",
            "created_at": _rfc3339(self.created_us),
            "request_params": {"analysis_mode": "general", "prompt": "Describe any incident, with t"},
        }
        if self.video is not None:
            shown["video_source"] = {"type": "url", "system_metadata": {"duration": self.video}}
        return shown


class Tasks:
    """All of a stand-in."""

    def __init__(self) -> None:
        self._tasks: dict[str, _Task] = {}
        self._running: dict[str, _Task] = {}
        self._ends: list[tuple[int, str]] = []
        self._assets: dict[str, int] = {}
        self._begun: dict[str, int] = {}
        self._numbers = count(1)
        self._hooks: set[asyncio.Task[None]] = set()
        self.pages = 0

    def create(self, body: bytes) -> dict[str, Any]:
        """A new task."""
        request = orjson.loads(body)
        words = dict(word.split("=", 1) for word in str(request.get("prompt", "")).split() if "=" in word)
        now = now_us()
        ends = now + int(float(words["task"]) * 1e6) if "task" in words else None
        video = float(words["video"]) if "video" in words else None
        task = _Task(f"{next(self._numbers):024x}", words.get("kind", ""), now, ends, video)
        self._tasks[task.id] = self._running[task.id] = task
        asset = request.get("video", {}).get("asset_id")
        if asset is not None:
            self._begun.setdefault(asset, now)
        if ends is not None:
            heapq.heappush(self._ends, (ends, task.id))
            if "hook" in words:
                asyncio.get_running_loop().call_later((ends - now) / 1e6, self._tell, task, int(words["hook"]))
        return {"task_id": task.id, "status": "queued"}

    def one(self, task_id: str) -> dict[str, Any]:
        """A task as it is now; this is a look."""
        task = self._tasks[task_id]
        task.looks += 1
        shown = task.row()
        if task.ended() and task.ends_us is not None:
            task.seen_us = task.seen_us or now_us()
            usage = {"output_tokens": 1, "input_tokens": 1}
            shown["status"], shown["completed_at"] = "ready", _rfc3339(task.ends_us)
            shown["result"] = {"generation_id": "g", "data": "done", "finish_reason": "stop", "usage": usage}
        return shown

    def page(self, query: bytes) -> dict[str, Any]:
        """A page of the running tasks, newest first."""
        self.pages += 1
        asked = parse_qs(query.decode())
        now = now_us()
        while self._ends and self._ends[0][0] <= now:
            self._running.pop(heapq.heappop(self._ends)[1], None)
        number = int(asked.get("page", ["1"])[0])
        found = list(self._running.values()) if asked.get("status") == ["processing"] else []
        last = len(found) - (number - 1) * _PAGE
        shown = found[max(last - _PAGE, 0) : max(last, 0)][::-1]
        for task in shown:
            task.rows += 1
        info = {"page": number, "limit_per_page": _PAGE, "total_page": -(-len(found) // _PAGE)}
        return {"data": [task.row() for task in shown], "page_info": info | {"total_results": len(found)}}

    def create_asset(self) -> dict[str, Any]:
        """A new asset; how long it takes is spread evenly over five seconds."""
        number = next(self._numbers)
        asset = f"{number:024x}"
        self._assets[asset] = now_us() + int(number * _GOLDEN % 1 * _LONGEST_ASSET_SECONDS * 1e6)
        return {"_id": asset, "status": "processing", "created_at": _rfc3339(now_us())}

    def asset(self, asset: str) -> dict[str, Any]:
        """An asset as it is now."""
        ready = now_us() >= self._assets.get(asset, 0)
        return {"_id": asset, "status": "ready" if ready else "processing", "duration": 60.0}

    def stats(self) -> dict[str, Any]:
        """What was counted, of tasks whose end was noticed and assets whose analysis has begun."""
        noticed = [
            {"kind": task.kind, "late_ms": (task.seen_us - task.ends_us) / 1e3, "looks": task.looks, "rows": task.rows}
            for task in self._tasks.values()
            if task.seen_us is not None and task.ends_us is not None
        ]
        begun = [(self._begun[asset] - ready) / 1e3 for asset, ready in self._assets.items() if asset in self._begun]
        return {"tasks": noticed, "begun_ms": begun, "pages": self.pages}

    def _tell(self, task: _Task, port: int) -> None:
        sending = asyncio.get_running_loop().create_task(_post(task.id, port))
        self._hooks.add(sending)
        sending.add_done_callback(self._hooks.discard)


async def _post(task_id: str, port: int) -> None:
    """One webhook, signed as the platform signs."""
    data = {"id": task_id, "custom_id": None, "status": "ready"}
    body = orjson.dumps({"id": f"whe_{task_id}", "type": "analyze.task.ready", "data": data})
    moment = str(now_us() // 1_000_000)
    digest = hmac.new(HOOK_SECRET.encode(), moment.encode() + b"." + body, hashlib.sha256).hexdigest()
    reader, writer = await asyncio.open_connection(HOST, port)
    head = (
        f"POST /webhooks/twelvelabs HTTP/1.1\r\nhost: {HOST}\r\ntl-signature: t={moment},v1={digest}\r\n"
        f"connection: close\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    writer.write(head.encode() + body)
    await reader.read()
    writer.close()


def _rfc3339(moment_us: int) -> str:
    return datetime.fromtimestamp(moment_us / 1e6, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
