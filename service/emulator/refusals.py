"""How the platform says no: one exception and its two body shapes."""

from __future__ import annotations

from typing import Any

import orjson
from aiohttp import web

from service.errors import ReelwireError

NESTED = frozenset({"task_create", "task_get", "task_delete"})
"""Operations whose errors are nested in `error`; all others are flat."""


class Refusal(ReelwireError):
    """The request can't be served as it is."""

    def __init__(self, status: int, code: str, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.headers = headers or {}


def invalid(message: str) -> Refusal:
    """A member has a wrong value; the message names it."""
    return Refusal(400, "parameter_invalid", message)


def missing(name: str) -> Refusal:
    return Refusal(400, "parameter_not_provided", f"The {name} parameter is required.")


def unknown(what: str, given: str, status: int = 404) -> Refusal:
    return Refusal(status, "resource_not_exist", f"There is no {what} {given}.")


def error_body(operation: str, code: str, message: str, *, shape: str | None = None) -> dict[str, Any]:
    """The body of an error; `shape` (`flat`, `nested`) overrules the operation's own."""
    error = {"code": code, "message": message}
    nested = shape == "nested" or (shape is None and operation in NESTED)
    return {"error": error} if nested else error


def json_response(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(
        body=orjson.dumps(body), status=status, headers=headers, content_type="application/json", charset="utf-8"
    )


def refusal_response(operation: str, refusal: Refusal, *, flat: bool) -> web.Response:
    shape = "flat" if flat else None
    body = error_body(operation, refusal.code, refusal.message, shape=shape)
    return json_response(body, refusal.status, refusal.headers)
