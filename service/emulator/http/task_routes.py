"""The endpoints of `/analyze/tasks`."""

from __future__ import annotations

import hashlib
import re
from functools import partial
from typing import Any

from aiohttp import web

from service.emulator.analysis.analysis_request import parse_analysis
from service.emulator.analysis.context_window import check_prompt
from service.emulator.http.answers import json_response
from service.emulator.http.bodies import plain_text
from service.emulator.http.calls import Call, endpoint
from service.emulator.http.paging import page_of
from service.emulator.model.tasks import TaskFilter
from service.emulator.refusals import Refusal, invalid

_ID = re.compile(r"[0-9a-fA-F]{24}")
_STATUSES = frozenset({"queued", "pending", "processing", "ready", "failed", "canceled"})
_NOTED_PROMPT = 200


async def _create(call: Call) -> web.StreamResponse:
    platform = call.platform
    body, data = await call.json()
    options = platform.options
    request = parse_analysis(
        body, task=True, strict=options.strict_parameters, video_limit_bytes=options.inline_limit_bytes
    )
    given = call.request.headers.get("Idempotency-Key")
    key = plain_text(given) if given is not None else None
    call.note(custom_id=request.custom_id, idempotency_key=key, prompt=request.prompt[:_NOTED_PROMPT])
    text = data.decode("utf-8", "replace") if platform.faults.rules else ""
    identity = key or request.custom_id or request.prompt
    fault = await call.apply_faults(text, request.directive, identity)
    check_prompt(request, options.prompt_limit_tokens)
    spend = partial(platform.spend, call.key, request, platform.pace, fault)
    if key is None:
        task = await platform.tasks.create(request, body, platform.pace, fault, spend)
        call.note(task_id=task.id)
        return json_response({"task_id": task.id, "status": task.status(platform.now())}, 202)
    whose = call.request.headers.get("x-api-key", "").encode("utf-8", "surrogateescape")
    scope = (hashlib.sha256(whose).hexdigest(), call.request.path, key)  # the API key itself is not to be kept
    digest = hashlib.sha256(data).hexdigest()
    known = platform.keys.claim(scope, digest, platform.now())
    if known is not None:
        call.note(task_id=known["task_id"], replayed=True)
        return json_response(known, 202, {"Idempotency-Replayed": "true"})
    try:
        task = await platform.tasks.create(request, body, platform.pace, fault, spend)
        answer: dict[str, Any] = {"task_id": task.id, "status": task.status(platform.now())}
        platform.keep_key(scope, digest, answer)
    finally:
        platform.keys.release(scope)
    call.note(task_id=task.id)
    return json_response(answer, 202)


async def _list(call: Call) -> web.StreamResponse:
    await call.apply_faults()
    platform, query = call.platform, call.request.query
    wanted = TaskFilter(
        status=query.get("status") or None,
        video_url=query.get("video_url") or None,
        asset_id=query.get("asset_id") or None,
        mode=query.get("analysis_mode") or None,
    )
    if wanted.status is not None and wanted.status not in _STATUSES:
        raise invalid(f"The status parameter must be one of {', '.join(sorted(_STATUSES))}.")
    now = platform.now()
    matching = [task for task in reversed(platform.tasks.all()) if wanted.meets(task, now)]
    found, info = page_of(matching, query)
    return json_response({"data": [platform.tasks.shown(task, listed=True) for task in found], "page_info": info})


async def _get(call: Call) -> web.StreamResponse:
    await call.apply_faults()
    return json_response(call.platform.tasks.shown(call.platform.tasks.get(call.request.match_info["task_id"])))


async def _delete(call: Call) -> web.StreamResponse:
    await call.apply_faults()
    call.platform.tasks.remove(call.platform.tasks.get(call.request.match_info["task_id"]))
    return web.Response(status=204)


async def _cancel(call: Call) -> web.StreamResponse:
    await call.apply_faults()
    task_id = call.request.match_info["task_id"]
    call.note(task_id=task_id)
    if not call.platform.options.cancellation:
        raise Refusal(403, "api_not_allowed", "Cancellation is not enabled for this account.")
    if not _ID.fullmatch(task_id):
        raise invalid("The task_id parameter must be 24 hexadecimal digits.")
    task = call.platform.tasks.get(task_id)
    call.platform.tasks.cancel(task)
    return json_response({"task_id": task.id, "status": "canceled"})


def task_routes() -> list[web.RouteDef]:
    """Paths are relative to `/v1.3`."""
    one = "/analyze/tasks/{task_id}"
    return [
        web.post("/analyze/tasks", endpoint("task_create", _create)),
        web.get("/analyze/tasks", endpoint("task_list", _list)),
        web.get(one, endpoint("task_get", _get)),
        web.delete(one, endpoint("task_delete", _delete)),
        web.post(f"{one}/cancel", endpoint("task_cancel", _cancel)),
    ]
