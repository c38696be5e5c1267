"""Requests made from the table of rules and ranges: the least valid one of each kind, and one that breaks a rule."""

from __future__ import annotations

import copy
import re
from typing import Any

from contracts.rule_table import Range, Rule

_URL = {"type": "url", "url": "https://media.example.com/a.mp4"}
_FIELD = {"name": "vehicle", "type": "string", "description": "Kind of vehicle"}
_INNER = {"name": "severity", "type": "string", "description": "How bad"}
_DEFINITION = {"id": "loading", "description": "A truck is loaded"}
_PICTURE = {"url": "https://media.example.com/a.png"}

Request = dict[str, Any]


def least(base: str) -> Request:
    """The least valid request of a kind."""
    match base:
        case "segments":
            form = {"type": "segment_definitions", "segment_definitions": [dict(_DEFINITION)]}
            return {
                "request_id": "r-1", "video": _URL, "analysis_mode": "time_based_metadata", "response_format": form
            }  # fmt: skip
        case "images":
            picture = {"name": "a", **_PICTURE}
            return {"request_id": "r-1", "image": [picture], "model_name": "pegasus1.6", "prompt": "Compare."}
        case _:
            return {"request_id": "r-1", "video": _URL, "prompt": "What happens?"}


def breaking(rule: Rule[Any]) -> Request:
    """The least valid request with the rule's example put in."""
    request = _around(least(rule.base), rule.at)
    if rule.at:
        here = _value(request, rule.at)
        here |= rule.example
        _tidy(here)
    else:
        request |= rule.example
        _tidy(request)
    return request


def with_value(span: Range, value: Any) -> Request:
    """The least valid request with a value at the member of a range."""
    kind = span.member.partition("[")[0].partition(".")[0]
    segments = kind in ("response_format", "min_segment_duration", "max_segment_duration")
    base = "segments" if segments else "images" if kind == "image" else "general"
    above, _, name = span.member.rpartition(".")
    request = _around(least(base), above)
    (_value(request, above) if above else request)[name] = value
    return request


def items(span: Range, count: int) -> Any:
    """So many of what the member holds: list items or characters."""
    name = span.member.rpartition(".")[2]
    match name:
        case "prompt" | "input_text":
            return "x" * count
        case "image":
            return [{"name": f"i{n}", **_PICTURE} for n in range(count)]
        case "media_sources":
            return [{"name": f"i{n}", "media_type": "image", **_PICTURE} for n in range(count)]
        case "segment_definitions":
            return [{"id": str(n), "description": "Something"} for n in range(count)]
        case "time_ranges":
            return [{"start_time": 10 * n, "end_time": 10 * n + 5} for n in range(count)]
        case "enum":
            return [str(n) for n in range(count)]
        case "fields":
            return [{**_INNER, "name": f"f{n}"} for n in range(count)]
        case _:
            raise AssertionError(f"what does {span.member} hold?")


def _around(request: Request, at: str) -> Request:
    """`request` with the objects that a path inside it goes through."""
    request = copy.deepcopy(request)
    if at.startswith("prompt_v2"):
        del request["prompt"]
        request["prompt_v2"] = {"input_text": "What happens?"}
    if not at.startswith("response_format.segment_definitions[0]"):
        return request
    request["model_name"] = "pegasus1.6"
    definition = request["response_format"]["segment_definitions"][0]
    if ".time_ranges[0]" in at:
        definition["time_ranges"] = [{"start_time": 0, "end_time": 9}]
    if ".fields[0]" in at:
        definition["fields"] = [dict(_FIELD)]
    if ".items" in at:
        definition["fields"][0] |= {"type": "time_array", "items": {"type": "object", "fields": [dict(_INNER)]}}
    return request


def _value(request: Request, path: str) -> Any:
    here: Any = request
    for step in re.findall(r"[a-z0-9_]+|\[[0-9]+\]", path):
        here = here[int(step[1:-1])] if step.startswith("[") else here[step]
    return here


def _tidy(members: Request) -> None:
    for name in [name for name, value in members.items() if value is None]:
        del members[name]
