"""A value that is valid by a JSON schema of the platform's subset.

Property order is kept, but the first required property comes first. Properties named `start_time` and `end_time` are
times of the video, at any depth.
"""

from __future__ import annotations

import random
import uuid
from typing import Any

from contracts.schema_facts import CLOCK_NAMES
from contracts.schema_subset import resolve
from service.emulator.generation.narration import clock_time, clock_time_ms
from service.emulator.generation.pattern import text_matching
from service.emulator.refusals import invalid

_FEW_VALUES = 2_000
"""From here on only what is required is made."""
_MOST_VALUES = 20_000
_SIMPLER_BELOW = 4
"""Deeper down, `anyOf` takes its simplest option and arrays are as short as they may be."""
_REQUIRED_BELOW = 6
"""Deeper down, objects hold only their required properties."""
_DEEPEST = 100
_MOST_REFERENCES = 100
"""`$ref` and `anyOf` in a row."""


class InstanceMaker:
    """Fills a checked schema from the sentences of a video; the same `rng` and sentences give the same value."""

    def __init__(
        self, root: dict[str, Any], sentences: list[str], start: float, end: float, rng: random.Random
    ) -> None:
        self._root = root
        self._sentences = sentences
        self._start, self._end = start, end
        self._rng = rng
        self._values = 0

    def make(self) -> Any:
        """Raises `Refusal` when the schema has no value of a bounded size, as one that requires itself."""
        return self._value(self._root, "", 0)

    def _value(self, given: dict[str, Any], name: str, depth: int) -> Any:
        self._values += 1
        if self._values > _MOST_VALUES or depth > _DEEPEST:
            raise invalid("The response_format.json_schema parameter asks for an endless value or a very large one.")
        node = self._chosen(given, depth)
        if "const" in node:
            return node["const"]
        if node.get("enum"):
            return self._rng.choice(node["enum"])
        match _type_of(node):
            case "object":
                return self._object(node, depth)
            case "array":
                least = int(node.get("minItems", 0))
                count = least if self._simple(depth) else max(least, self._rng.randint(1, 3))
                return [self._value(node.get("items", {"type": "string"}), name, depth + 1) for _ in range(count)]
            case "boolean":
                return self._rng.random() < 0.5
            case "null":
                return None
            case "integer":
                return self._integer(node, name)
            case "number":
                return self._time() if name in CLOCK_NAMES else self._number(node)
            case "timestamp":
                return self._timestamp(str(node.get("format")))
        return self._string(node, name)

    def _chosen(self, node: dict[str, Any], depth: int) -> dict[str, Any]:
        """The schema behind references and alternatives."""
        for _ in range(_MOST_REFERENCES):
            if "$ref" in node:
                node = resolve(node["$ref"], self._root) or {}
            elif node.get("anyOf"):
                options: list[dict[str, Any]] = node["anyOf"]
                simplest = min(options, key=_complexity)
                node = simplest if self._simple(depth) else self._rng.choice(options)
            else:
                return node
        raise invalid("The response_format.json_schema parameter has references that lead in a circle.")

    def _simple(self, depth: int) -> bool:
        return depth >= _SIMPLER_BELOW or self._values > _FEW_VALUES

    def _object(self, node: dict[str, Any], depth: int) -> dict[str, Any]:
        properties: dict[str, Any] = node.get("properties", {})
        required = [name for name in node.get("required", []) if name in properties]
        needed = set(required)
        first = next((name for name in properties if name in needed), None)
        names = ([] if first is None else [first]) + [name for name in properties if name != first]
        return {
            name: self._value(properties[name], name, depth + 1)
            for name in names
            if name in needed or (depth <= _REQUIRED_BELOW and self._values < _FEW_VALUES)
        }

    def _time(self) -> float:
        return round(self._rng.uniform(self._start, self._end), 2)

    def _timestamp(self, kind: str) -> float | str:
        at = self._time()
        return at if kind == "seconds" else clock_time(at) if kind == "hh:mm:ss" else clock_time_ms(at)

    def _number(self, node: dict[str, Any]) -> float:
        low, high = _bounds(node)
        return round(self._rng.uniform(low, high), 2) if 0.1 < high - low < float("inf") else low / 2 + high / 2

    def _integer(self, node: dict[str, Any], name: str) -> int:
        if name in CLOCK_NAMES:
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
        return clock_time_ms(self._time()) if name in CLOCK_NAMES else self._rng.choice(self._sentences)


def _type_of(node: dict[str, Any]) -> str:
    declared = node.get("type")
    if isinstance(declared, list):
        declared = next((kind for kind in declared if kind != "null"), "null")
    return str(declared or ("object" if "properties" in node else "array" if "items" in node else "string"))


def _complexity(node: dict[str, Any]) -> int:
    """How likely a schema is to lead on to others: a plain value first, references last."""
    return 3 if "$ref" in node else 2 if "anyOf" in node else 1 if _type_of(node) in {"object", "array"} else 0


def _bounds(node: dict[str, Any]) -> tuple[float, float]:
    lows = [node[name] for name in ("minimum", "exclusiveMinimum") if name in node]
    highs = [node[name] for name in ("maximum", "exclusiveMaximum") if name in node]
    low = max(lows) if lows else min(0.0, *(high - 10 for high in highs)) if highs else 0.0
    return low, min(highs) if highs else low + 10
