"""The JSON of a generated text, read tolerantly: models wrap it in words, or repeat its end.

What is read in another way than strictly is said in a warning; the raw text is published whatever comes of it.
"""

from __future__ import annotations

import json
import math
from typing import Any, NamedTuple, NoReturn

import orjson
from pydantic_core import from_json

REPAIRED = "data_repaired"
"""The code of the warning about data that was not read strictly. The platform's own warnings have other codes."""


class Decoded(NamedTuple):
    """`error` says why there is no data, `repair` what was passed over to have it; at most one of them is set."""

    data: Any
    error: str | None = None
    repair: str | None = None


def decoded(text: str, finish_reason: str | None, *, array: bool = False) -> Decoded:
    """The value that `text` holds: any JSON value when it is nothing else, else the first object in it (or `array`)."""
    try:
        # orjson refuses numbers beyond a double. pydantic's parser keeps integers of any size, and refuses what is
        # nested deeper than an event can be written.
        orjson.loads(text)
        return Decoded(from_json(text))
    except ValueError as error:
        strict = str(error)
    # A text that was cut at its limit may begin with whole values: none of them is the result.
    found = None if finish_reason == "length" else _salvaged(text, "[" if array else "{")
    if found is not None:
        return found
    cut = "; the generation was cut at its length limit" if finish_reason == "length" else ""
    return Decoded(None, f"the text is not JSON: {strict}{cut}")


def _salvaged(text: str, opening: str) -> Decoded | None:
    begin = text.find(opening)
    if begin < 0:
        return None
    try:
        value, end = _TOLERANT.raw_decode(text, begin)
        data = from_json(json.dumps(value))  # refuses depth and half characters as the strict way does
    except (ValueError, RecursionError):
        return None
    before, after = text[:begin].strip(), text[end:].strip()
    if after and not after.strip('"]},'):
        return None  # ends of something that was begun elsewhere: the value is a damaged part of it
    passed = [where for where, rest in (("before", before), ("after", after)) if rest]
    what = (
        f"text {' and '.join(passed)} the JSON was passed over" if passed else "control characters were taken as text"
    )
    return Decoded(data, repair=what)


def _refuse(text: str) -> NoReturn:
    raise ValueError(f"{text} is no JSON number")


def _finite(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _refuse(text)


_TOLERANT = json.JSONDecoder(strict=False, parse_constant=_refuse, parse_float=_finite)
