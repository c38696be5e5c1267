"""`/analyze/batches`."""

from __future__ import annotations

import json
import time
from collections import Counter
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from tests.standin.analysis_rules import asset_ids, check_analysis, media_sources, response_format
from tests.standin.endpoints import Answer, Endpoints
from tests.standin.rules import Violated, listed, number, obj, one_of, text, whole
from tests.standin.state import ENDED, Body, State, Task, moment

DAY = 86_400
_ACTIVE = 5
_SHARED: dict[str, Any] = {
    "prompt": obj({"input_text!": text(), "media_sources": media_sources}),
    "response_format": response_format(task=True),
    "temperature": number(0, 1),
    "max_tokens": whole(512, 98_304),
    "min_segment_duration": number(2),
    "max_segment_duration": number(2),
    "start_time": number(0),
    "end_time": number(0),
}
_VIDEO = obj({"type!": one_of("asset_id"), "asset_id!": text(pattern=r"[0-9a-fA-F]{24}")})
_ITEM = obj(_SHARED | {"video!": _VIDEO, "custom_id": text(1, 64, r"[A-Za-z0-9_-]+")})
_BATCH = obj(
    {
        "model_name!": one_of("pegasus1.5"),
        "analysis_mode!": one_of("general", "time_based_metadata"),
        "requests!": listed(_ITEM, 1, 1_000),
        "defaults": obj(_SHARED),
    }
)


@dataclass
class Batch:
    id: str
    mode: str
    task_ids: list[str]
    made: float
    canceled: float | None = None

    def status(self, state: State) -> str:
        open_ = [one for one in self.task_ids if state.tasks[one].status() not in ENDED]
        if self.canceled is not None:
            return "canceling" if open_ else "canceled"
        return "processing" if open_ else "completed"

    def shown(self, state: State) -> Body:
        counts = Counter(state.tasks[one].status() for one in self.task_ids)
        status = self.status(state)
        found: Body = {
            "batch_id": self.id,
            "analysis_mode": self.mode,
            "model_name": "pegasus1.5",
            "status": status,
            "total_items": len(self.task_ids),
            "queued_items": counts["queued"],
            "processing_items": counts["processing"],
            "ready_items": counts["ready"],
            "failed_items": 0,
            "canceled_items": counts["canceled"],
            "created_at": moment(self.made),
            "expires_at": moment(self.made + DAY),
        }
        if status == "completed":
            found["completed_at"] = moment(time.time())
        if status == "canceled":
            found["canceled_at"] = moment(self.canceled or self.made)
        return found


class BatchEndpoints(Endpoints):
    """Each method answers with a status and a body, or raises `Violated`."""

    def __init__(self, chunk_bytes: int) -> None:
        super().__init__(chunk_bytes)
        self.batches: dict[str, Batch] = {}

    def _batch(self, batch_id: str) -> Batch:
        if batch_id not in self.batches:
            raise Violated(f"batch {batch_id} was never created here", 404, "resource_not_exist")
        return self.batches[batch_id]

    async def _create_batch(self, request: web.Request) -> Answer:
        body = await self._json(request)
        _BATCH(body, "body")
        names = [one["custom_id"] for one in body["requests"] if "custom_id" in one]
        if len(set(names)) != len(names):
            raise Violated("a custom_id is there twice in a batch")
        whole_items = [self._item(body, one) for one in body["requests"]]
        active = [one for one in self.batches.values() if one.status(self.state) not in {"completed", "canceled"}]
        if len(active) >= _ACTIVE:
            raise Violated("a sixth active batch", 429, "too_many_requests")
        batch = Batch(self.state.new_id(), body["analysis_mode"], [], time.time())
        for item in whole_items:
            task = Task(self.state.new_id(), item, time.time(), self.task_seconds, batch_id=batch.id)
            self.state.tasks[task.id] = task
            batch.task_ids.append(task.id)
        self.batches[batch.id] = batch
        items = [{"task_id": one, "custom_id": self.state.tasks[one].body.get("custom_id")} for one in batch.task_ids]
        told = {"batch_id": batch.id, "status": "pending", "total_items": len(items)}
        return 201, told | {"created_at": moment(batch.made), "expires_at": moment(batch.made + DAY), "items": items}

    def _item(self, body: Body, one: Body) -> Body:
        """One item as the task that it becomes: a default is replaced whole."""
        item: Body = body.get("defaults", {}) | one
        if "prompt" in item:
            item["prompt_v2"] = item.pop("prompt")
        item |= {"model_name": body["model_name"], "analysis_mode": body["analysis_mode"]}
        check_analysis(item, task=True)
        for asset_id in asset_ids(item):
            if self.state.asset(asset_id).status() != "ready":
                raise Violated(f"asset {asset_id} is used in a batch before it is ready", 409)
        return item

    async def _list_batches(self, request: web.Request) -> Answer:
        statuses, mode = request.query.getall("status", []), request.query.get("analysis_mode")
        rows = [
            one.shown(self.state)
            for one in reversed(self.batches.values())
            if (not statuses or one.status(self.state) in statuses) and mode in (None, one.mode)
        ]
        return 200, self._page(request, rows)

    async def _get_batch(self, request: web.Request, batch_id: str) -> Answer:
        return 200, self._batch(batch_id).shown(self.state)

    async def _results(self, request: web.Request, batch_id: str) -> web.StreamResponse:
        lines = []
        for task_id in self._batch(batch_id).task_ids:
            shown = self.state.tasks[task_id].shown()
            line = {"task_id": task_id, "custom_id": shown["custom_id"], "status": shown["status"]}
            lines.append(json.dumps(line | ({"data": shown["result"]} if "result" in shown else {})) + "\n")
        return web.Response(text="".join(lines), content_type="application/jsonl")

    async def _cancel_batch(self, request: web.Request, batch_id: str) -> Answer:
        if request.content_length != 0 or "Content-Type" in request.headers:
            raise Violated("a cancel has no body, Content-Length 0 and no content type")
        batch = self._batch(batch_id)
        if batch.status(self.state) in {"completed", "canceled"}:
            return 409, {"error": {"code": f"batch_{batch.status(self.state)}", "message": "it has ended"}}
        batch.canceled = batch.canceled or time.time()
        for task_id in batch.task_ids:
            if self.state.tasks[task_id].status() == "queued":
                self.state.tasks[task_id].canceled = time.time()
        return 202, batch.shown(self.state)

    async def _delete_batch(self, request: web.Request, batch_id: str) -> Answer:
        batch = self._batch(batch_id)
        if batch.status(self.state) not in {"completed", "canceled"}:
            raise Violated("a batch is deleted before it has ended", 409, "batch_not_terminal")
        for task_id in batch.task_ids:
            del self.state.tasks[task_id]
        del self.batches[batch_id]
        return 200, None
