"""Reading one JSON document of a stranger: what it may cost is bounded before it is parsed."""

from __future__ import annotations

import re
from typing import Any

import orjson
from pydantic_core import from_json

from contracts.codes import DeadLetterCode
from contracts.limits import MAX_JSON_DEPTH, MAX_JSON_DIGITS, MAX_JSON_VALUES
from contracts.rejection import RejectedRecord

_BOM = b"\xef\xbb\xbf"

# Separators, then one token: a string (group 1: it is the name of a member), a number or literal (group 2), or the
# start (group 3) or end (group 4) of an object or array. It matches at every place, also where a string has no end,
# and its quantifiers are possessive: each byte is looked at once.
_TOKEN = re.compile(rb'[\s,:]*+(?:"(?:[^"\\]++|\\.)*+"?+(?:\s*+(:))?|([^\s\[\]{}",:]++)|([\[{])|([\]}])|\Z)', re.DOTALL)
_NAME, _NUMBER, _START, _END = 1, 2, 3, 4
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

    The first look only counts bytes, also those inside strings; nearly every document passes it. The second reads
    token by token and stops at the limit.
    """
    at_most = 1 + raw.count(b",") + raw.count(b"{") + raw.count(b"[")
    if at_most <= MAX_JSON_VALUES and _TOO_MANY_DIGITS not in raw.translate(_DIGITS_AS_ZERO):
        return
    values = depth = 0
    for token in _TOKEN.finditer(raw):
        kind = token.lastindex
        if kind == _NAME:
            continue
        if kind == _END:
            depth -= 1
            continue
        values += 1
        if values > MAX_JSON_VALUES:
            raise RejectedRecord(
                DeadLetterCode.TOO_LARGE, f"{member}: holds more than {MAX_JSON_VALUES} JSON values; send fewer"
            )
        if kind == _START:
            depth += 1
            if depth > MAX_JSON_DEPTH:
                raise _too_deep(member)
        elif kind == _NUMBER and _TOO_MANY_DIGITS in token[_NUMBER].translate(_DIGITS_AS_ZERO):
            raise RejectedRecord(
                DeadLetterCode.NOT_JSON,
                f"{member}: holds a number of more than {MAX_JSON_DIGITS} digits; send it as a string",
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
