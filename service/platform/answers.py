"""From an answer that is no success to our error: by its status first, then by its code."""

from __future__ import annotations

from collections.abc import Mapping
from email.utils import parsedate_to_datetime

from contracts.events import PlatformAnswer
from service.platform.errors import (
    Conflict,
    NotAuthorized,
    NotFound,
    PlatformError,
    RateLimited,
    Rejected,
    ServerFailed,
)
from service.platform.reading import AnswerReader, decoded

LONGEST_WAIT_SECONDS = 86_400.0
"""The longest limit of the platform is that of a day: a longer wait is a mistake of the answer, and is cut to this.
How much of it a job waits is decided by its patience (`domain/attempts.py`)."""

_KEY_CODES = frozenset({"api_key_invalid", "unauthorized"})
"""The key itself is refused, whatever is asked with it."""
_REQUEST_CODES = frozenset({"api_not_allowed", "api_allowed_for_paid_plan"})
"""This request asks for what the account may not have (a model, a feature); others go on."""


def read_answer(status: int, body: bytes, reader: AnswerReader) -> PlatformAnswer:
    """Code and message in `body`, in either of the platform's two shapes; of a body that is not JSON, its beginning."""
    try:
        code, message = reader.error(decoded(body))
    except ValueError:
        code, message = None, reader.message(body.decode("utf-8", "replace").strip() or None, "error")
    return PlatformAnswer(status=status, code=code, message=message)


def wait_seconds(headers: Mapping[str, str], now: float) -> float | None:
    """How long an answer asks us to wait, at most a day; None when it does not say. `now` in seconds since the epoch.

    `Retry-After` in seconds or as an HTTP date; else the reset time of a limit with nothing remaining.
    """
    asked = headers.get("retry-after", "").strip()
    if asked.isascii() and asked.isdigit():
        return _bounded(float(asked[:20]))
    if asked:
        moment = http_date(asked)
        if moment is not None:
            return _bounded(moment - now)
    for prefix in ("x-ratelimit-", "x-ratelimit-request-"):
        reset = headers.get(prefix + "reset", "").strip()
        if headers.get(prefix + "remaining", "").strip() == "0" and reset.isascii() and reset.isdigit():
            return _bounded(float(reset[:20]) - now)
    return None


def _bounded(seconds: float) -> float:
    return min(max(seconds, 0.0), LONGEST_WAIT_SECONDS)


def http_date(text: str) -> float | None:
    """The date of an HTTP header as seconds since the epoch."""
    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, OverflowError):
        return None


def refusal(answer: PlatformAnswer, retry_after_seconds: float | None, *, took_seconds: float = 0.0) -> PlatformError:
    """The error for an answer that is no success, which came after `took_seconds`.

    `retry_after_seconds`: the wait that it names; of a 429, ours.
    """
    status = answer.status or 0
    words = f"the platform answered {status}" + (f" ({answer.code})" if answer.code else "")
    if answer.message:
        words += f": {answer.message}"
    if status == 429:
        return RateLimited(words, retry_after_seconds=retry_after_seconds or 0.0, answer=answer)
    if status == 401 and answer.code not in _REQUEST_CODES:
        return NotAuthorized(words, answer=answer)
    if status == 403 and answer.code in _KEY_CODES:
        return NotAuthorized(words, answer=answer)
    if 300 <= status < 400:
        return ServerFailed(f"{words}; redirects are never followed, check platform.base_url", answer=answer)
    if status >= 500 or status in (407, 408, 425):
        return ServerFailed(words, answer=answer, retry_after_seconds=retry_after_seconds, took_seconds=took_seconds)
    if status == 404:
        return NotFound(words, answer=answer)
    if status == 409:
        return Conflict(words, answer=answer)
    return Rejected(words, answer=answer)


def about_key_or_request(answer: PlatformAnswer | None) -> bool:
    """A 403 that may mean our key as well as this one request: another call with the key tells which."""
    return answer is not None and answer.status == 403 and answer.code not in _KEY_CODES | _REQUEST_CODES
