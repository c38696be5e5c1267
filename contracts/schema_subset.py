"""Checks a JSON schema against what the platform takes for `response_format.json_schema`.

The contract refuses a request by it before anything is paid for, and the emulator answers with the same verdict. Only
what the platform is known to refuse is refused; what nothing is known of is left to it.
"""

from __future__ import annotations

from collections.abc import Iterator
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
    TIMESTAMP_PLACES,
    TYPES,
    UNPROCESSABLE,
    UNSUPPORTED,
    Place,
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


@dataclass(frozen=True, slots=True)
class _Node:
    """A schema within the schema."""

    schema: object
    path: _Path
    place: Place


def first_violation(schema: dict[str, Any]) -> Violation | None:
    """The first thing that the platform would refuse, None when there is nothing.

    The time is linear in the size of the schema: a definition is checked once for each place it is used at. It does
    not recurse, so the depth of a schema needs no limit here.
    """
    left = [_Node(schema, (None, "$"), Place.ROOT)]
    seen: set[tuple[int, Place]] = set()
    while left:
        node = left.pop()
        if (id(node.schema), node.place) in seen:
            continue
        seen.add((id(node.schema), node.place))
        violation = next(_wrong(node, schema), None)
        if violation is not None:
            return violation
        left.extend(reversed(list(_below(node, schema))))
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


def _wrong(node: _Node, root: dict[str, Any]) -> Iterator[Violation]:
    schema, path = node.schema, node.path
    if not isinstance(schema, dict):
        yield Violation(_shown(path), "a schema must be a JSON object")
        return
    for keywords, status in ((UNPROCESSABLE, 422), (UNSUPPORTED, 400)):
        for keyword in keywords:
            if keyword in schema:
                yield Violation(_shown(path), f"the platform does not take {keyword}; leave it out", status)
    for rule in (*_wrong_type(schema, node.place), *_wrong_values(schema), *_wrong_shape(schema, root)):
        yield Violation(_shown(path), rule)
    properties = schema.get("properties", {})
    for name in sorted(CLOCK_NAMES & properties.keys()):
        if not _is_clock(properties[name]):
            yield Violation(_shown((path, f".{name}")), "must be a plain number, integer, string or timestamp")


def _wrong_type(schema: dict[str, Any], place: Place) -> Iterator[str]:
    declared = schema.get("type")
    kinds = declared if isinstance(declared, list) else [] if declared is None else [declared]
    if not all(isinstance(kind, str) and kind in TYPES for kind in kinds):
        yield f"type must be one of {', '.join(TYPES)}"
        return
    if "timestamp" in kinds:
        if place not in TIMESTAMP_PLACES:
            yield "timestamp is for the top level and for properties of objects in a top-level array"
        if schema.get("format") not in TIME_FORMATS:
            yield f"a timestamp needs format, one of {', '.join(TIME_FORMATS)}"
    elif "string" in kinds and schema.get("format") is not None and schema["format"] not in STRING_FORMATS:
        yield f"format must be one of {', '.join(STRING_FORMATS)}"


def _wrong_values(schema: dict[str, Any]) -> Iterator[str]:
    if "minItems" in schema and (isinstance(schema["minItems"], bool) or schema["minItems"] not in MIN_ITEMS):
        yield f"minItems must be {' or '.join(map(str, MIN_ITEMS))}"
    values = schema.get("enum", ["any"])
    if not isinstance(values, list) or not values:
        yield "enum must be a filled array"
        return
    if any(isinstance(value, dict | list) for value in (*values, schema.get("const"))):
        yield "enum and const take booleans, null, numbers and strings"
    for name in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"):
        limit = schema.get(name, 0)
        if isinstance(limit, bool) or not isinstance(limit, int | float):
            yield f"{name} must be a number"


def _wrong_shape(schema: dict[str, Any], root: dict[str, Any]) -> Iterator[str]:
    required = schema.get("required", [])
    if not (isinstance(required, list) and all(isinstance(name, str) for name in required)):
        yield "required must be an array of strings"
    if not isinstance(schema.get("properties", {}), dict) or not isinstance(schema.get("$defs", {}), dict):
        yield "properties and $defs must be JSON objects"
        return
    if not isinstance(schema.get("anyOf", []), list):
        yield "anyOf must be an array"
    reference = schema.get("$ref")
    if reference is not None and not (isinstance(reference, str) and reference.startswith("#")):
        yield "$ref must point into this schema (#/$defs/...)"
    elif reference is not None and resolve(reference, root) is None:
        yield "$ref points to nothing"


def _below(node: _Node, root: dict[str, Any]) -> Iterator[_Node]:
    schema, path, place = node.schema, node.path, node.place
    if not isinstance(schema, dict):
        return
    for name, child in schema.get("properties", {}).items():
        yield _Node(child, (path, f".{name}"), PROPERTY_OF.get(place, Place.DEEP))
    for index, child in enumerate(schema.get("anyOf", [])):
        yield _Node(child, (path, f".anyOf[{index}]"), place)
    if "items" in schema:
        yield _Node(schema["items"], (path, "[]"), ITEM_OF.get(place, Place.DEEP))
    if (target := resolve(schema.get("$ref"), root)) is not None:
        yield _Node(target, (path, ".$ref"), place)
    for name, child in schema.get("$defs", {}).items():
        yield _Node(child, (path, f".$defs.{name}"), Place.UNREFERENCED)


def _is_clock(schema: object) -> bool:
    return isinstance(schema, dict) and isinstance(schema.get("type"), str) and schema["type"] in CLOCK_TYPES


def _shown(path: _Path) -> str:
    steps: list[str] = []
    here: _Path | None = path
    while here is not None:
        here, step = here
        steps.append(step if len(step) <= _LONGEST_NAME else step[:_LONGEST_NAME] + "…")
    return "".join(reversed(steps))
