"""The endpoints of `/analyze/batches`."""

from __future__ import annotations

from functools import partial
from typing import Any

import orjson
from aiohttp import web

from service.clock import rfc3339
from service.emulator.behaviours import KnownFrom, behaves
from service.emulator.faults.fault import NO_FAULT
from service.emulator.http.answers import json_response
from service.emulator.http.batches.batch_body import parse_batch
from service.emulator.http.calls import Call, endpoint
from service.emulator.http.paging import page_of
from service.emulator.model.batches.book import Item
from service.emulator.refusals import invalid

_STATUSES = frozenset({"pending", "processing", "canceling", "canceled", "completed", "expired"})


@behaves(
    "batches.create",
    "A new batch is 201 with its id and, in the order of the request, the `task_id` and `custom_id` of each item.",
    KnownFrom.DOCUMENTED,
    test="http/batches/test_batch_routes.py::test_a_batch_makes_a_task_of_each_item",
    on=("batch_create",),
    item=8,
)
async def _create(call: Call) -> web.StreamResponse:
    platform = call.platform
    body, data = await call.json()
    asked, mode, model = parse_batch(body, platform.options)
    call.note(custom_ids=[request.custom_id for request, _ in asked])
    text = data.decode("utf-8", "replace") if platform.faults.rules else ""
    fault = await call.apply_faults(text)
    items = []
    for request, task in asked:
        told = platform.faults.for_directive(call.operation, request.custom_id or request.prompt, request.directive)
        own = told.over(fault or NO_FAULT)
        items.append(Item(request, task, own, partial(platform.spend, call.key, request, platform.pace, own)))
    batch = await platform.batches.create(items, mode=mode, model_name=model, pace=platform.pace)
    tasks = platform.batches.tasks(batch)
    made = [{"task_id": task.id, "custom_id": task.request.custom_id} for task in tasks]
    call.note(batch_id=batch.id, items=made)
    answer: dict[str, Any] = {
        "batch_id": batch.id,
        "status": platform.batches.status(batch),
        "total_items": len(made),
        "created_at": rfc3339(batch.created_at),
        "expires_at": rfc3339(batch.expires_at),
        "items": made,
    }
    return json_response(answer, 201)


@behaves(
    "batches.list",
    "Batches are listed newest first; `status` may be given several times, `analysis_mode` once.",
    KnownFrom.DOCUMENTED,
    test="http/batches/test_batch_routes.py::test_batches_are_listed_by_status_and_mode",
    on=("batch_list",),
    item=8,
)
async def _list(call: Call) -> web.StreamResponse:
    await call.apply_faults()
    platform, query = call.platform, call.request.query
    wanted = set(query.getall("status", []))
    if wanted - _STATUSES:
        raise invalid(f"The status parameter must be one of {', '.join(sorted(_STATUSES))}.")
    mode = query.get("analysis_mode")
    book = platform.batches
    matching = [
        batch
        for batch in reversed(book.all())
        if (not wanted or book.status(batch) in wanted) and (mode is None or batch.mode == mode)
    ]
    found, info = page_of(matching, query)
    now = platform.now()
    return json_response({"data": [batch.as_json(book.tasks(batch), now) for batch in found], "page_info": info})


async def _get(call: Call) -> web.StreamResponse:
    await call.apply_faults()
    book = call.platform.batches
    batch = book.get(call.request.match_info["batch_id"])
    return json_response(batch.as_json(book.tasks(batch), call.platform.now()))


@behaves(
    "batches.results",
    "Results are JSON lines, one for each item at any time: ended ones with `data` or `error`, others with their "
    "status.",
    KnownFrom.DOCUMENTED,
    test="http/batches/test_batch_routes.py::test_results_have_a_line_for_each_item_whatever_its_status",
    on=("batch_results",),
    item=8,
)
async def _results(call: Call) -> web.StreamResponse:
    await call.apply_faults()
    book = call.platform.batches
    lines = []
    for task in book.tasks(book.get(call.request.match_info["batch_id"])):
        shown = call.platform.tasks.shown(task)
        line = {"task_id": task.id, "custom_id": task.request.custom_id, "status": shown["status"]}
        if line["status"] == "pending":
            line["status"] = "queued"
        if "result" in shown:
            line["data"] = shown["result"]
        if shown["status"] == "failed":
            line["error"] = shown["error"]
        lines.append(orjson.dumps(line) + b"\n")
    return web.Response(body=b"".join(lines), content_type="application/jsonl")


async def _cancel(call: Call) -> web.StreamResponse:
    await call.apply_faults()
    book = call.platform.batches
    batch = book.get(call.request.match_info["batch_id"])
    call.note(batch_id=batch.id)
    book.cancel(batch)
    return json_response(batch.as_json(book.tasks(batch), call.platform.now()), 202)


async def _delete(call: Call) -> web.StreamResponse:
    await call.apply_faults()
    book = call.platform.batches
    book.remove(book.get(call.request.match_info["batch_id"]))
    return web.Response(status=204)


def batch_routes() -> list[web.RouteDef]:
    """Paths are relative to `/v1.3`."""
    one = "/analyze/batches/{batch_id}"
    return [
        web.post("/analyze/batches", endpoint("batch_create", _create)),
        web.get("/analyze/batches", endpoint("batch_list", _list)),
        web.get(one, endpoint("batch_get", _get)),
        web.delete(one, endpoint("batch_delete", _delete)),
        web.get(f"{one}/results", endpoint("batch_results", _results)),
        web.post(f"{one}/cancel", endpoint("batch_cancel", _cancel)),
    ]
