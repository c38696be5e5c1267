"""`/analyze` and `/analyze/tasks`."""

from __future__ import annotations

import hashlib
import json
import re
import time

from aiohttp import web

from tests.standin.analysis_rules import asset_ids, check_analysis
from tests.standin.endpoints import Answer, Endpoints
from tests.standin.rules import Violated
from tests.standin.state import DURATION, Body, Task, text_of


class AnalysisEndpoints(Endpoints):
    """Each method answers with a status and a body, or raises `Violated`."""

    async def _analyze(self, request: web.Request) -> Answer | web.StreamResponse:
        body = await self._json(request)
        check_analysis(body, task=False)
        self._assets_of(body)
        generation, data = self.state.new_id(), text_of(body)
        if not body["stream"]:
            return 200, {"id": generation, "data": data, "finish_reason": "stop", "usage": {"output_tokens": 7}}
        half = len(data) // 2
        events: list[Body] = [
            {"event_type": "stream_start", "metadata": {"generation_id": generation}},
            *({"event_type": "text_generation", "text": part} for part in (data[:half], data[half:])),
            {
                "event_type": "stream_end",
                "finish_reason": "stop",
                "metadata": {"generation_id": generation, "usage": {"output_tokens": 7, "input_tokens": 90}},
            },
        ]
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        for event in events:
            await response.write(json.dumps(event).encode() + b"\n")
        await response.write_eof()
        return response

    def _assets_of(self, body: Body) -> None:
        for asset_id in asset_ids(body):
            self.state.ready_asset(asset_id)
        asset_id = body.get("video", {}).get("asset_id")
        if asset_id is not None and max(body.get("start_time", 0), body.get("end_time", 0)) > DURATION:
            raise Violated(f"start_time and end_time are within the {DURATION} seconds of the video")

    async def _create_task(self, request: web.Request) -> Answer:
        keys = request.headers.getall("Idempotency-Key", [])
        if len(keys) > 1 or not all(re.fullmatch(r"[!-~]{1,255}", key) for key in keys):
            raise Violated("Idempotency-Key is there once, with 1 to 255 visible characters")
        body = await self._json(request)
        check_analysis(body, task=True)
        self._assets_of(body)
        digest = hashlib.sha256(await request.read()).hexdigest()
        known = self.state.keys.get(keys[0]) if keys else None
        if known is not None:
            if known[0] != digest:
                raise Violated("an Idempotency-Key is used again for another body", 409, "idempotency_conflict")
            return 202, known[1]
        task = Task(self.state.new_id(), body, time.time(), self.task_seconds)
        self.state.tasks[task.id] = task
        answer = {"task_id": task.id, "status": "queued"}
        if keys:
            self.state.keys[keys[0]] = digest, answer
        return 202, answer

    async def _list_tasks(self, request: web.Request) -> Answer:
        query = request.query
        rows = [
            task.shown(row=True)
            for task in reversed(self.state.tasks.values())
            if query.get("status") in (None, task.status())
            and query.get("asset_id") in (None, task.body.get("video", {}).get("asset_id"))
            and query.get("video_url") in (None, task.body.get("video", {}).get("url"))
            and query.get("analysis_mode") in (None, task.body.get("analysis_mode", "general"))
        ]
        return 200, self._page(request, rows)

    async def _get_task(self, request: web.Request, task_id: str) -> Answer:
        return 200, self.state.task(task_id).shown()

    async def _delete_task(self, request: web.Request, task_id: str) -> Answer:
        if self.state.task(task_id).status() == "processing":
            raise Violated("a task is deleted while it is processed", 409, "task_processing")
        del self.state.tasks[task_id]
        return 200, None

    async def _cancel(self, request: web.Request, task_id: str) -> Answer:
        if request.content_length != 0 or "Content-Type" in request.headers:
            raise Violated("a cancel has no body, Content-Length 0 and no content type")
        task = self.state.task(task_id)
        if task.batch_id is not None:
            return 409, {"code": "task_owned_by_batch", "message": "a batch owns the task"}
        if task.status() in {"ready", "failed"}:
            return 409, {"code": "task_completed", "message": "task already completed"}
        task.canceled = task.canceled or time.time()
        return 200, {"task_id": task.id, "status": "canceled"}
