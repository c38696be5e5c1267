"""The border: what the platform's JSON says, as values the rest of the service can rely on.

Whatever makes no sense (a negative duration, half of an emoji, an id of a megabyte) becomes None, or is repaired or
cut, and is counted in `reelwire_platform_nonsense_total`. Nothing in here raises for the content of an answer.
"""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from typing import Any

import orjson
from prometheus_client import Counter

from service.telemetry.redaction import MASK, clean

MAX_WORD_CHARS = 256
"""Ids, statuses, codes. The platform's own have 24 to 40 characters."""
MAX_MESSAGE_CHARS = 2_000
MAX_VIDEO_SECONDS = 10_000_000.0
"""116 days. Videos have at most hours; what is longer is a mistake."""
MAX_COUNT = 2**53
"""Beyond it JSON numbers are not exact."""
_LONGEST_MESSAGE = 40_000  # characters that are looked at; longer than what `clean` takes, so that it sees the cut
_MAX_DIGITS = 30  # of an integer; Python refuses to read more than 4,300, and takes quadratic time for it


def decoded(body: bytes) -> Any:
    """The JSON value of `body`; raises `ValueError` when it holds none.

    More is read than JSON allows: NaN, half of a surrogate pair, bytes that are no UTF-8. One wrong character must
    not hide the result of a task that is paid for.
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        pass
    try:
        return json.loads(body.decode("utf-8-sig", "replace"), parse_int=_integer)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) <= _MAX_DIGITS else math.inf


def repaired(value: str) -> str:
    """`value` as text that UTF-8 can hold: a surrogate pair becomes its character, half of one U+FFFD."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return value


class AnswerReader:
    """Takes single members out of answers. `member` names them in the metric; absent and null are never counted."""

    def __init__(self, nonsense: Counter, secret: str = "") -> None:
        """`secret` is replaced in messages, where a server may repeat it."""
        self._nonsense = nonsense
        self._secret = secret

    def _odd(self, member: str) -> None:
        self._nonsense.labels(member).inc()

    def text(self, value: object, member: str) -> str | None:
        """A text of any length, repaired; None for anything else."""
        if isinstance(value, str):
            whole = repaired(value)
            if whole is not value:
                self._odd(member)
            return whole
        if value is not None:
            self._odd(member)
        return None

    def short_text(self, value: object, member: str) -> str | None:
        """An id or a status: short and printable, else None."""
        if value is None:
            return None
        if isinstance(value, str) and 0 < len(value) <= MAX_WORD_CHARS and value.isprintable():
            return value
        self._odd(member)
        return None

    def message(self, value: object, member: str, limit: int = MAX_MESSAGE_CHARS) -> str | None:
        """Words for people, without secrets, cut to `limit` characters. What is no text is shown as JSON."""
        if value is None:
            return None
        if not isinstance(value, str):
            try:
                value = orjson.dumps(value).decode()
            except TypeError:  # nested too deeply, or half of a surrogate pair in it
                self._odd(member)
                return None
        words = clean(repaired(value[:_LONGEST_MESSAGE]).strip())
        if self._secret:
            words = words.replace(self._secret, MASK)
        return words[:limit]

    def seconds(self, value: object, member: str) -> float | None:
        """A length of video. Zero counts as unknown: it would be taken for a short video."""
        if value is None:
            return None
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= MAX_VIDEO_SECONDS:
            return float(value)
        self._odd(member)
        return None

    def count(self, value: object, member: str) -> int | None:
        """Bytes or tokens: a whole number from 0."""
        if value is None:
            return None
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= MAX_COUNT:
            whole = int(value)
            if whole == value:
                return whole
        self._odd(member)
        return None

    def instant(self, value: object, member: str) -> float | None:
        """An RFC 3339 time as seconds since the epoch. Without an offset it is taken as UTC."""
        if value is None:
            return None
        if isinstance(value, str) and len(value) <= MAX_WORD_CHARS:
            try:
                moment = datetime.fromisoformat(value)
                return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
            except (ValueError, OverflowError):
                pass
        self._odd(member)
        return None

    def error(self, body: object) -> tuple[str | None, str | None]:
        """Code and message of an error body: `{"code","message"}`, or the same inside `{"error":…}`."""
        if not isinstance(body, dict):
            return None, self.message(body, "error")
        inner = body.get("error")
        if isinstance(inner, str):
            return self._code(body), self.message(inner, "error")
        if isinstance(inner, dict):
            body = inner
        return self._code(body), self.message(body.get("message"), "error.message")

    def warning(self, body: dict[str, Any]) -> tuple[str | None, str | None]:
        """Code and message of the `error` member. Its presence alone does not mean failure: the status decides."""
        return self.error({"error": body["error"]}) if body.get("error") else (None, None)

    def usage(self, body: dict[str, Any]) -> tuple[int | None, int | None]:
        """Output and input tokens."""
        usage = body.get("usage")
        if not isinstance(usage, dict):
            if usage is not None:
                self._odd("usage")
            return None, None
        return (
            self.count(usage.get("output_tokens"), "usage.output_tokens"),
            self.count(usage.get("input_tokens"), "usage.input_tokens"),
        )

    def _code(self, body: dict[str, Any]) -> str | None:
        return self.message(body.get("code"), "error.code", MAX_WORD_CHARS)
