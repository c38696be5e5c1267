"""The part of JSON Schema that the platform takes: what it refuses, and an instance that is valid.

Property order is kept, but the first required property comes first. Properties named `start_time` and `end_time`
are special at any depth.
"""

from __future__ import annotations

import random
import uuid
from typing import Any

from service.emulator.model.narration import clock_time, clock_time_ms
from service.emulator.model.pattern import text_matching
from service.emulator.refusals import Refusal, invalid

_TYPES = frozenset(["array", "boolean", "integer", "null", "number", "object", "string", "timestamp"])
_UNSUPPORTED = frozenset({"minLength", "maxLength", "additionalProperties", "uniqueItems", "maxItems"})
_TIME_FORMATS = frozenset({"seconds", "hh:mm:ss", "hh:mm:ss.fff"})
_STRING_FORMATS = frozenset({"uuid", "date-time", "date", "time"})
_TIMED = frozenset({"start_time", "end_time"})
_TIMED_TYPES = frozenset({"number", "integer", "string", "timestamp"})
_TIMESTAMP_PLACES = frozenset({"", "p", "ip", "pip"})
_DEEPEST = 24


def check_schema(schema: dict[str, Any]) -> None:
    """Raise `Refusal` for what the platform does not take, naming the path of the member."""
    _check(schema, "json_schema", "", schema)
    for name, node in schema.get("$defs", {}).items():
        _check(node, f"json_schema.$defs.{name}", "", schema)


def _check(node: Any, path: str, place: str, root: dict[str, Any]) -> None:
    """`place` spells the way from the root: `p` for a property, `i` for items."""
    if not isinstance(node, dict):
        raise invalid(f"{path} must be an object.")
    if len(place) > _DEEPEST:
        raise invalid(f"{path} is nested too deeply.")
    wrong = sorted(_UNSUPPORTED & node.keys())
    if wrong:
        raise Refusal(422, "parameter_invalid", f"{path} uses {', '.join(wrong)}, which is not supported.")
    kind = node.get("type")
    if kind is not None and not (isinstance(kind, str) and kind in _TYPES):
        raise invalid(f"{path}.type is not one of {', '.join(sorted(_TYPES))}.")
    if kind == "timestamp" and place not in _TIMESTAMP_PLACES:
        raise invalid(f"{path}: a timestamp stands at the top level or in objects of a top-level array only.")
    if kind == "timestamp" and node.get("format") not in _TIME_FORMATS:
        raise invalid(f"{path}.format must be one of {', '.join(sorted(_TIME_FORMATS))}.")
    if kind == "string" and node.get("format") is not None and node["format"] not in _STRING_FORMATS:
        raise invalid(f"{path}.format must be one of {', '.join(sorted(_STRING_FORMATS))}.")
    if kind == "array" and node.get("minItems", 0) not in (0, 1):
        raise invalid(f"{path}.minItems must be 0 or 1.")
    if "$ref" in node:
        _target(node["$ref"], root, path)
    properties = node.get("properties", {})
    if not isinstance(properties, dict):
        raise invalid(f"{path}.properties must be an object.")
    for name, child in properties.items():
        _check(child, f"{path}.properties.{name}", place + "p", root)
        if name in _TIMED and child.get("type") not in _TIMED_TYPES:
            raise invalid(f"{path}.properties.{name} must be a number, an integer, a string or a timestamp.")
    if "items" in node:
        _check(node["items"], f"{path}.items", place + "i", root)
    for index, child in enumerate(node.get("anyOf", [])):
        _check(child, f"{path}.anyOf[{index}]", place, root)


def _target(reference: Any, root: dict[str, Any], path: str) -> dict[str, Any]:
    node: Any = root
    if not isinstance(reference, str) or not reference.startswith("#"):
        raise invalid(f"{path}.$ref must point into the schema itself.")
    for step in reference[1:].split("/")[1:]:
        node = node.get(step) if isinstance(node, dict) else None
    if not isinstance(node, dict):
        raise invalid(f"{path}.$ref {reference} points nowhere.")
    return node


class InstanceMaker:
    """Fills a schema from the sentences of a video; the same `rng` and sentences give the same instance."""

    def __init__(
        self, root: dict[str, Any], sentences: list[str], start: float, end: float, rng: random.Random
    ) -> None:
        self._root = root
        self._sentences = sentences
        self._start, self._end = start, end
        self._rng = rng

    def make(self) -> Any:
        return self._value(self._root, "", 0)

    def _value(self, node: dict[str, Any], name: str, depth: int) -> Any:
        if "$ref" in node:
            return self._value(_target(node["$ref"], self._root, name), name, depth + 1)
        if "const" in node:
            return node["const"]
        if node.get("enum"):
            return self._rng.choice(node["enum"])
        if node.get("anyOf"):
            # Deep down the simplest choice, so that recursive schemas come to an end.
            choices = sorted(node["anyOf"], key=lambda item: "$ref" in item) if depth > 3 else node["anyOf"]
            return self._value(choices[0] if depth > 3 else self._rng.choice(choices), name, depth + 1)
        kind = node.get("type") or ("object" if "properties" in node else "array" if "items" in node else "string")
        match kind:
            case "object":
                return self._object(node, depth)
            case "array":
                least = int(node.get("minItems", 0))
                count = least if depth > 4 else max(least, self._rng.randint(1, 3))
                return [self._value(node.get("items", {"type": "string"}), name, depth + 1) for _ in range(count)]
            case "boolean":
                return self._rng.random() < 0.5
            case "null":
                return None
            case "integer":
                return self._integer(node, name)
            case "number":
                return self._time() if name in _TIMED else self._number(node)
            case "timestamp":
                return self._timestamp(str(node.get("format")))
        return self._string(node, name)

    def _object(self, node: dict[str, Any], depth: int) -> dict[str, Any]:
        properties: dict[str, Any] = node.get("properties", {})
        required = [name for name in node.get("required", []) if name in properties]
        names = list(properties)
        if required:
            first = next(name for name in names if name in required)
            names = [first, *(name for name in names if name != first)]
        return {
            name: self._value(properties[name], name, depth + 1) for name in names if depth <= 6 or name in required
        }

    def _time(self) -> float:
        return round(self._rng.uniform(self._start, self._end), 2)

    def _timestamp(self, kind: str) -> float | str:
        at = self._time()
        return at if kind == "seconds" else clock_time(at) if kind == "hh:mm:ss" else clock_time_ms(at)

    def _number(self, node: dict[str, Any]) -> float:
        low, high = _bounds(node)
        return round(self._rng.uniform(low, high), 2) if high - low > 0.1 else (low + high) / 2

    def _integer(self, node: dict[str, Any], name: str) -> int:
        if name in _TIMED:
            return round(self._time())
        low, high = _bounds(node)
        first = int(low) + (1 if low > int(low) or node.get("exclusiveMinimum") == low else 0)
        last = int(high) - (1 if node.get("exclusiveMaximum") == high and high == int(high) else 0)
        return self._rng.randint(first, max(first, last))

    def _string(self, node: dict[str, Any], name: str) -> str:
        if "pattern" in node:
            return text_matching(str(node["pattern"]), self._rng)
        seconds = int(self._time())
        match node.get("format"):
            case "uuid":
                return str(uuid.UUID(int=self._rng.getrandbits(128), version=4))
            case "date":
                return "2026-03-04"
            case "time":
                return f"{clock_time(seconds)}Z"
            case "date-time":
                return f"2026-03-04T{clock_time(seconds)}Z"
        return clock_time_ms(self._time()) if name in _TIMED else self._rng.choice(self._sentences)


def _bounds(node: dict[str, Any]) -> tuple[float, float]:
    lows = [node[name] for name in ("minimum", "exclusiveMinimum") if name in node]
    highs = [node[name] for name in ("maximum", "exclusiveMaximum") if name in node]
    low = max(lows) if lows else min(0.0, *(high - 10 for high in highs)) if highs else 0.0
    return low, min(highs) if highs else low + 10
