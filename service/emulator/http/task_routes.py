"""The endpoints of `/analyze/tasks`."""

from __future__ import annotations

import hashlib
import re
from functools import partial
from typing import Any

from aiohttp import web

from service.emulator.analysis.analysis_request import parse_analysis
from service.emulator.analysis.context_window import check_prompt
from service.emulator.behaviours import KnownFrom, behaves
from service.emulator.http.answers import json_response
from service.emulator.http.bodies import plain_text
from service.emulator.http.calls import Call, endpoint
from service.emulator.http.paging import page_of
from service.emulator.model.tasks import TaskFilter
from service.emulator.refusals import Refusal, invalid

_ID = re.compile(r"[0-9a-fA-F]{24}")
_STATUSES = frozenset({"queued", "pending", "processing", "ready", "failed", "canceled"})
_NOTED_PROMPT = 200


@behaves(
    "tasks.create",
    "The creation of a task is 202 with `task_id` and `status`.",
    KnownFrom.DOCUMENTED,
    test="http/test_behaviours.py::test_ids_are_24_hexadecimal_digits",
    on=("task_create",),
    item=7,
)
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


@behaves(
    "tasks.list",
    "Tasks are listed newest first, by status, URL, asset and mode; there is no filter for `custom_id`.",
    KnownFrom.DOCUMENTED,
    test="http/test_task_routes.py::test_lists_are_filtered_newest_first_and_truncated",
    on=("task_list",),
    item=7,
)
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


@behaves(
    "tasks.detail",
    "A task shows `custom_id`, null if unset, its request as it was sent, and its result when it is ready.",
    KnownFrom.DOCUMENTED,
    test="http/test_task_routes.py::test_custom_id_is_null_when_unset_and_echoed_otherwise",
    on=("task_get",),
    item=7,
)
async def _get(call: Call) -> web.StreamResponse:
    await call.apply_faults()
    return json_response(call.platform.tasks.shown(call.platform.tasks.get(call.request.match_info["task_id"])))


@behaves(
    "tasks.delete",
    "A task that is being processed can not be deleted (409).",
    KnownFrom.DOCUMENTED,
    test="http/test_task_routes.py::test_cancel_twice_is_fine_and_a_running_task_is_not_deleted",
    on=("task_delete",),
    item=7,
)
async def _delete(call: Call) -> web.StreamResponse:
    await call.apply_faults()
    call.platform.tasks.remove(call.platform.tasks.get(call.request.match_info["task_id"]))
    return web.Response(status=204)


@behaves(
    "tasks.cancel",
    "A cancel is 200, also the second; 409 for an ended task, 403 for an account that may not, before "
    "the id is looked at.",
    KnownFrom.DOCUMENTED,
    test="http/test_task_routes.py::test_cancel_twice_is_fine_and_a_running_task_is_not_deleted",
    on=("task_cancel",),
    item=7,
)
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
