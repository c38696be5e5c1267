"""Answers in JSON, and the two shapes that the platform gives its errors."""

from __future__ import annotations

from typing import Any

import orjson
from aiohttp import web

from service.emulator.behaviours import KnownFrom, behaves
from service.emulator.refusals import Refusal

NESTED = frozenset(
    {
        "task_create",
        "task_get",
        "task_delete",
        "batch_create",
        "batch_list",
        "batch_get",
        "batch_results",
        "batch_cancel",
        "batch_delete",
    }
)
"""Operations whose errors are nested in `error`; all others are flat."""


@behaves(
    "errors.shapes",
    "Errors of tasks are nested in `error`, those of their list and cancel and of all else are flat; a "
    "switch makes all flat.",
    KnownFrom.DOCUMENTED,
    test="http/test_task_routes.py::test_errors_of_tasks_are_nested_but_those_of_lists_and_cancels_flat",
    on=(
        "task_create",
        "task_get",
        "task_delete",
    ),
    item=10,
)
def error_body(operation: str, code: str, message: str, *, shape: str | None = None) -> dict[str, Any]:
    """The body of an error. `shape` (`flat` or `nested`) is used in place of the operation's own shape."""
    error = {"code": code, "message": message}
    nested = shape == "nested" or (shape is None and operation in NESTED)
    return {"error": error} if nested else error


def json_response(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    """An answer in JSON. Raises `TypeError` for texts with lone surrogates, which readers of headers replace."""
    return web.Response(
        body=orjson.dumps(body), status=status, headers=headers, content_type="application/json", charset="utf-8"
    )


def refusal_response(operation: str, refusal: Refusal, *, flat: bool) -> web.Response:
    """The answer to a refused request, in the shape of its operation, or flat."""
    shape = "flat" if flat else None
    body = error_body(operation, refusal.code, refusal.message, shape=shape)
    return json_response(body, refusal.status, refusal.headers)
