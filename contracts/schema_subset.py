"""Checks a JSON schema against what the platform takes for `response_format.json_schema`.

The contract refuses a request by it before anything is paid for, and the emulator answers with the same verdict. Only
what the platform is known to refuse is refused; what nothing is known of is left to it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from contracts.schema_facts import (
    CLOCK_NAMES,
    CLOCK_TYPES,
    ITEM_OF,
    MIN_ITEMS,
    PROPERTY_OF,
    STRING_FORMATS,
    TIME_FORMATS,
    TIMESTAMP_LEVELS,
    TYPES,
    UNPROCESSABLE,
    UNSUPPORTED,
    Level,
)

_LONGEST_NAME = 40
"""Longer names are cut in messages."""


@dataclass(frozen=True, slots=True)
class Violation:
    """What the platform would refuse."""

    path: str
    rule: str
    """What to do instead."""
    status: int = 400
    """The HTTP status that the platform answers."""

    def __str__(self) -> str:
        return f"at {self.path}: {self.rule}"


_Path = tuple["_Path | None", str]
"""Where a schema stands: the path of the schema around it, and the step from there. Text is made of it only for a
violation, because a text for each of thousands of deep schemas would cost megabytes."""


_Node = tuple[object, _Path, Level]
"""A schema within the schema, and where it stands."""

_Check = Callable[[dict[str, Any], Level, dict[str, Any]], str | None]
"""What is wrong with one keyword of a schema that has it: what to do instead. Given the schema, where it stands, and
the whole."""


def first_violation(schema: dict[str, Any], *, most: int | None = None) -> Violation | None:
    """The first thing that the platform would refuse, None when there is nothing.

    With `most`, a schema that holds more than `most` schemas, itself included, is a violation too; one that is used
    at two levels counts twice. The time is linear in the size of the schema, and a schema without keywords
    costs about 1 µs. It does not recurse, so the depth of a schema needs no limit here.
    """
    left: list[_Node] = [(schema, (None, "$"), Level.ROOT)]
    seen: set[tuple[int, Level]] = set()
    while left:
        here, path, level = left.pop()
        if (id(here), level) in seen:
            continue
        seen.add((id(here), level))
        if not isinstance(here, dict):
            return Violation(_shown(path), "a schema must be a JSON object")
        if most is not None and (len(seen) > most or (here and _children(here) >= most)):
            return Violation("$", f"holds more than {most} schemas inside each other; send a smaller one")
        if not here:
            continue
        violation = _wrong(here, path, level, schema)
        if violation is not None:
            return violation
        below = _below(here, path, level, schema)
        below.reverse()
        left += below
    return None


def resolve(reference: object, root: dict[str, Any]) -> dict[str, Any] | None:
    """The schema that a `$ref` inside `root` points to, None when there is none."""
    if not isinstance(reference, str) or not reference.startswith("#"):
        return None
    target: object = root
    for part in reference[1:].lstrip("/").split("/") if reference != "#" else ():
        if not isinstance(target, dict):
            return None
        target = target.get(part.replace("~1", "/").replace("~0", "~") if "~" in part else part)
    return target if isinstance(target, dict) else None


def _wrong(schema: dict[str, Any], path: _Path, level: Level, root: dict[str, Any]) -> Violation | None:
    for keyword, status in _REFUSED:
        if keyword in schema:
            return Violation(_shown(path), f"the platform does not take {keyword}; leave it out", status)
    for keyword, check in _CHECKS:
        if keyword in schema:
            rule = check(schema, level, root)
            if rule is not None:
                return Violation(_shown(path), rule)
    properties = schema.get("properties")
    if properties:
        for name in _CLOCKS:
            if name in properties and not _is_clock(properties[name]):
                return Violation(_shown((path, f".{name}")), "must be a plain number, integer, string or timestamp")
    return None


def _type(schema: dict[str, Any], level: Level, _root: dict[str, Any]) -> str | None:
    declared = schema["type"]
    if declared is None:
        return None
    kinds = declared if isinstance(declared, list) else [declared]
    if not all(isinstance(kind, str) and kind in TYPES for kind in kinds):
        return f"type must be one of {', '.join(TYPES)}"
    if "timestamp" in kinds:
        if level not in TIMESTAMP_LEVELS:
            return "timestamp is for the top level and for properties of objects in a top-level array"
        if schema.get("format") not in TIME_FORMATS:
            return f"a timestamp needs format, one of {', '.join(TIME_FORMATS)}"
    elif "string" in kinds and schema.get("format") is not None and schema["format"] not in STRING_FORMATS:
        return f"format must be one of {', '.join(STRING_FORMATS)}"
    return None


def _min_items(schema: dict[str, Any], _level: Level, _root: dict[str, Any]) -> str | None:
    least = schema["minItems"]
    if isinstance(least, bool) or least not in MIN_ITEMS:
        return f"minItems must be {' or '.join(map(str, MIN_ITEMS))}"
    return None


def _enum(schema: dict[str, Any], _level: Level, _root: dict[str, Any]) -> str | None:
    values = schema["enum"]
    if not isinstance(values, list) or not values:
        return "enum must be a filled array"
    return _PLAIN if any(isinstance(value, dict | list) for value in values) else None


def _const(schema: dict[str, Any], _level: Level, _root: dict[str, Any]) -> str | None:
    return _PLAIN if isinstance(schema["const"], dict | list) else None


_PLAIN = "enum and const take booleans, null, numbers and strings"


def _number(keyword: str) -> _Check:
    def check(schema: dict[str, Any], _level: Level, _root: dict[str, Any]) -> str | None:
        limit = schema[keyword]
        wrong = isinstance(limit, bool) or not isinstance(limit, int | float)
        return f"{keyword} must be a number" if wrong else None

    return check


def _required(schema: dict[str, Any], _level: Level, _root: dict[str, Any]) -> str | None:
    required = schema["required"]
    if isinstance(required, list) and all(isinstance(name, str) for name in required):
        return None
    return "required must be an array of strings"


def _object(keyword: str) -> _Check:
    def check(schema: dict[str, Any], _level: Level, _root: dict[str, Any]) -> str | None:
        return None if isinstance(schema[keyword], dict) else "properties and $defs must be JSON objects"

    return check


def _any_of(schema: dict[str, Any], _level: Level, _root: dict[str, Any]) -> str | None:
    return None if isinstance(schema["anyOf"], list) else "anyOf must be an array"


def _reference(schema: dict[str, Any], _level: Level, root: dict[str, Any]) -> str | None:
    reference = schema["$ref"]
    if reference is None:
        return None
    if not (isinstance(reference, str) and reference.startswith("#")):
        return "$ref must point into this schema (#/$defs/...)"
    return "$ref points to nothing" if resolve(reference, root) is None else None


_REFUSED = (*((keyword, 422) for keyword in UNPROCESSABLE), *((keyword, 400) for keyword in UNSUPPORTED))
"""Keywords, and the status that the platform answers."""

_CLOCKS = sorted(CLOCK_NAMES)

_CHECKS: tuple[tuple[str, _Check], ...] = (
    ("type", _type),
    ("minItems", _min_items),
    ("enum", _enum),
    ("const", _const),
    *((keyword, _number(keyword)) for keyword in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")),
    ("required", _required),
    ("properties", _object("properties")),
    ("$defs", _object("$defs")),
    ("anyOf", _any_of),
    ("$ref", _reference),
)
"""In the order in which they are told."""


def _children(schema: dict[str, Any]) -> int:
    """How many schemas are directly inside, before any of them is looked at."""
    return sum(len(inside) for keyword in _CONTAINERS if isinstance(inside := schema.get(keyword), dict | list))


_CONTAINERS = ("properties", "anyOf", "$defs")


def _below(schema: dict[str, Any], path: _Path, level: Level, root: dict[str, Any]) -> list[_Node]:
    """The schemas directly inside a schema in which `_wrong` has found nothing."""
    found: list[_Node] = []
    if properties := schema.get("properties"):
        inside = PROPERTY_OF.get(level, Level.DEEP)
        found += [(child, (path, f".{name}"), inside) for name, child in properties.items()]
    if choices := schema.get("anyOf"):
        found += [(child, (path, f".anyOf[{index}]"), level) for index, child in enumerate(choices)]
    if "items" in schema:
        found.append((schema["items"], (path, "[]"), ITEM_OF.get(level, Level.DEEP)))
    if "$ref" in schema and (target := resolve(schema["$ref"], root)) is not None:
        found.append((target, (path, ".$ref"), level))
    if definitions := schema.get("$defs"):
        found += [(child, (path, f".$defs.{name}"), Level.UNREFERENCED) for name, child in definitions.items()]
    return found


def _is_clock(schema: object) -> bool:
    return isinstance(schema, dict) and isinstance(schema.get("type"), str) and schema["type"] in CLOCK_TYPES


def _shown(path: _Path) -> str:
    steps: list[str] = []
    here: _Path | None = path
    while here is not None:
        here, step = here
        steps.append(step if len(step) <= _LONGEST_NAME else step[:_LONGEST_NAME] + "…")
    return "".join(reversed(steps))
