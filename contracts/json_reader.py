"""Reading one JSON document of a stranger: what it may cost is bounded before it is parsed."""

from __future__ import annotations

from typing import Any

import orjson
from pydantic_core import from_json

from contracts.codes import DeadLetterCode
from contracts.limits import MAX_JSON_DEPTH, MAX_JSON_DIGITS, MAX_JSON_VALUES
from contracts.rejection import RejectedRecord

_BOM = b"\xef\xbb\xbf"
_SPACE = b" \t\r\n"

_MAX_QUOTES = 4 * MAX_JSON_VALUES  # two of each name, two of each value
_TOO_MANY_STARTS = b"[" * (MAX_JSON_DEPTH + 1)
_AS_STARTS = bytes.maketrans(b"{", b"[")
_BUT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_DIGITS_AS_ZERO = bytes.maketrans(b"123456789", b"000000000")
_TOO_MANY_DIGITS = b"0" * (MAX_JSON_DIGITS + 1)


def read_json(raw: bytes | None, member: str) -> Any:
    """Decode one JSON document; a leading byte order mark is skipped. Raises `RejectedRecord` naming `member`.

    Numbers keep their value: integers stay integers, and a fraction or power too large for a double is refused, not
    infinity, which would be written as null. A power too small for a double is zero.
    Nesting deeper than `MAX_JSON_DEPTH`, lone surrogates and NaN are refused.
    """
    if raw is None:
        raise RejectedRecord(DeadLetterCode.NOT_JSON, f"{member}: is null; send a JSON object")
    raw = raw.removeprefix(_BOM)
    if not raw.strip():
        raise RejectedRecord(DeadLetterCode.NOT_JSON, f"{member}: is empty; send a JSON object")
    _check_cost(raw, member)
    beyond = (b"e" in raw or b"E" in raw) and not _is_finite(raw)
    try:
        document = from_json(raw, allow_inf_nan=False)
    except ValueError as error:
        raise _unreadable(raw, member, str(error)) from None
    if beyond:
        raise RejectedRecord(
            DeadLetterCode.INVALID,
            f"{member}: holds a number beyond 1.8e308, which JSON readers can't represent; send it as a string",
        )
    return document


def _is_finite(raw: bytes) -> bool:
    """Whether no number is infinite as a double, which `from_json` lets pass; also False for what is not JSON.

    With at most `MAX_JSON_DIGITS` digits in a row that takes an exponent. Only a parser knows what is a number and
    what is text; this one takes a millisecond for 1 MiB, and its result is dropped before the other one begins.
    """
    try:
        orjson.loads(raw)
    except ValueError:
        return False
    return True


def _check_cost(raw: bytes, member: str) -> None:
    """Refuse a document with too many values or digits.

    The first look counts bytes, also those inside strings; nearly every document passes it. The second leaves strings
    out. Both only search, count and split bytes, which takes some milliseconds for 1 MiB of whatever; a loop in Python
    over the parts of a document would hold the event loop for 100 ms. They are exact for JSON. What is not JSON may
    be refused as either; what a parser reads of it before it finds out is counted.
    """
    at_most = 1 + raw.count(b",") + raw.count(b"{") + raw.count(b"[")
    if at_most <= MAX_JSON_VALUES and _TOO_MANY_DIGITS not in raw.translate(_DIGITS_AS_ZERO):
        return
    parts = raw.replace(rb"\\", b"").replace(rb"\"", b"").split(b'"', _MAX_QUOTES + 1)
    outside = b'"'.join(parts[: _MAX_QUOTES + 1 : 2])  # with a quote for each string
    if _TOO_MANY_DIGITS in outside.translate(_DIGITS_AS_ZERO):
        raise RejectedRecord(
            DeadLetterCode.NOT_JSON,
            f"{member}: holds a number of more than {MAX_JSON_DIGITS} digits; send it as a string",
        )
    if _TOO_MANY_STARTS in outside.translate(_AS_STARTS, _BUT_BRACKETS):
        raise _too_deep(member)
    dense = outside.translate(None, _SPACE)
    # Each value but the first is the first of an array or object, or stands behind a comma.
    filled = dense.count(b"[") - dense.count(b"[]") + dense.count(b"{") - dense.count(b"{}")
    if len(parts) > _MAX_QUOTES + 1 or 1 + dense.count(b",") + filled > MAX_JSON_VALUES:
        raise _too_many(member)


def _too_many(member: str) -> RejectedRecord:
    return RejectedRecord(
        DeadLetterCode.TOO_LARGE, f"{member}: holds more than {MAX_JSON_VALUES} JSON values; send fewer"
    )


def _too_deep(member: str) -> RejectedRecord:
    return RejectedRecord(DeadLetterCode.NOT_JSON, f"{member}: is nested deeper than {MAX_JSON_DEPTH}")


def _unreadable(raw: bytes, member: str, reason: str) -> RejectedRecord:
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError as error:
        return RejectedRecord(DeadLetterCode.NOT_UTF8, f"{member}: byte {error.start} is not UTF-8")
    if reason.startswith("recursion limit"):
        return _too_deep(member)
    return RejectedRecord(DeadLetterCode.NOT_JSON, f"{member}: is not JSON: {reason}")
