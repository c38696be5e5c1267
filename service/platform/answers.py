"""Reads the platform's error answers: two documented shapes, empty bodies, and what proxies put in between."""

from __future__ import annotations

import json
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any

import orjson

from contracts.events import PlatformAnswer
from service.platform.errors import (
    Category,
    Conflict,
    NotAuthorized,
    NotFound,
    PlatformError,
    RateLimited,
    Rejected,
    ServerFailed,
)
from service.telemetry.redaction import clean

MAX_MESSAGE_CHARS = 2000
DAILY_SECONDS = 300
"""A longer wait than this is no minute limit: a quota of the day or the hour is gone."""
_LONGEST_SECONDS = 10**10


def read_answer(status: int, body: bytes, *, secret: str = "") -> PlatformAnswer:
    """The platform's words in `body`, flat or nested; of a body that is not JSON, its beginning.

    `secret` is blotted out where a server repeats it.
    """
    try:
        code, message = said(orjson.loads(body))
    except orjson.JSONDecodeError:
        code, message = None, _clean(body.decode("utf-8", "replace").strip() or None)
    if message is not None:
        message = message[:MAX_MESSAGE_CHARS]
        if secret:
            message = message.replace(secret, "***")
    return PlatformAnswer(status=status, code=code, message=message)


def said(body: Any) -> tuple[str | None, str | None]:
    """Code and message of a decoded error body, `{"code","message"}` or `{"error":{"code","message"}}`.

    Both are published: signatures of URLs and secrets of ours are taken out.
    """
    if not isinstance(body, dict):
        return None, None if body is None else _clean(json.dumps(body))
    inner = body.get("error")
    if isinstance(inner, str):
        return _text(body.get("code")), _clean(inner)
    if isinstance(inner, dict):
        body = inner
    return _text(body.get("code")), _text(body.get("message"))


def _text(value: Any) -> str | None:
    return _clean(value if value is None or isinstance(value, str) else json.dumps(value))


def _clean(text: str | None) -> str | None:
    return None if text is None else clean(text)


def wait_seconds(headers: Mapping[str, str], now: float) -> float | None:
    """How long a 429 asks us to wait, without a cap; None when it does not say. `now` in seconds since the epoch.

    `Retry-After` in seconds or as an HTTP date; else the reset time of a limit with nothing remaining.
    """
    asked = headers.get("retry-after", "").strip()
    if asked.isascii() and asked.isdigit():
        return float(min(int(asked[:20]), _LONGEST_SECONDS))
    if asked:
        try:
            return max(0.0, parsedate_to_datetime(asked).timestamp() - now)
        except (ValueError, OverflowError):
            pass
    for prefix in ("x-ratelimit-", "x-ratelimit-request-"):
        reset = headers.get(prefix + "reset", "").strip()
        if headers.get(prefix + "remaining", "").strip() == "0" and reset.isascii() and reset.isdigit():
            return max(0.0, min(float(reset[:20]) - now, float(_LONGEST_SECONDS)))
    return None


def refusal(answer: PlatformAnswer, category: Category, retry_after_seconds: float) -> PlatformError:
    """The error for an answer that is no success. By status first; the code only adds detail."""
    status = answer.status or 0
    words = f"the platform answered {status}" + (f" ({answer.code})" if answer.code else "")
    if answer.message:
        words += f": {answer.message}"
    if status == 429:
        return RateLimited(
            words,
            retry_after_seconds=retry_after_seconds,
            category=category,
            daily=retry_after_seconds > DAILY_SECONDS,
            answer=answer,
        )
    if status in (401, 403):
        return NotAuthorized(words, answer=answer)
    if 300 <= status < 400:
        return ServerFailed(f"{words}; redirects are never followed, check platform.base_url", answer=answer)
    if status >= 500 or status in (408, 425):
        return ServerFailed(words, answer=answer)
    if status == 404:
        return NotFound(words, answer=answer)
    if status == 409:
        return Conflict(words, answer=answer)
    return Rejected(words, answer=answer)
