"""The part of JSON Schema 2020-12 that the platform takes for `response_format.json_schema`.

Only what the platform is known to refuse is refused here. References are looked up and never followed, so cycles
and definitions that multiply each other cost nothing.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Any

_TYPES = frozenset({"array", "boolean", "integer", "null", "number", "object", "string", "timestamp"})
_REFUSED = ("minLength", "maxLength", "additionalProperties", "uniqueItems", "maxItems", "oneOf", "allOf", "not")
_STRING_FORMATS = ("uuid", "date-time", "date", "time")
_TIME_FORMATS = ("seconds", "hh:mm:ss", "hh:mm:ss.fff")
_CLOCK_NAMES = frozenset({"start_time", "end_time"})
_CLOCK_TYPES = frozenset({"number", "integer", "string", "timestamp"})


class _Place(Enum):
    """How deep a schema stands, as far as `timestamp` is concerned."""

    ROOT = auto()
    MEMBER = auto()
    """A property of the root: may be a timestamp."""
    ROW = auto()
    """The object inside a top-level array."""
    CELL = auto()
    """A property of a row: may be a timestamp."""
    DEEP = auto()
    ANYWHERE = auto()
    """A shared definition: where it ends up is the platform's to see."""


_PROPERTY_OF = {
    _Place.ROOT: _Place.MEMBER,
    _Place.ROW: _Place.CELL,
    _Place.ANYWHERE: _Place.ANYWHERE,
}
_ITEM_OF = {_Place.ROOT: _Place.ROW, _Place.MEMBER: _Place.ROW, _Place.ANYWHERE: _Place.ANYWHERE}
_TIMESTAMP_PLACES = frozenset({_Place.MEMBER, _Place.CELL, _Place.ANYWHERE})

Violation = str | None

_Path = tuple["_Path | None", str]
"""Where a schema stands: the path of the one around it, and the step from there. Text is made of it only for an
error, because a path for each of thousands of deep schemas would cost megabytes."""


def first_violation(schema: dict[str, Any]) -> Violation:
    """What the platform would refuse, as `path: what to do`; None when there is nothing."""
    return _check(schema, (None, "$"), _Place.ROOT, schema)


def _check(schema: object, path: _Path, place: _Place, root: dict[str, Any]) -> Violation:
    if not isinstance(schema, dict):
        return f"at {_shown(path)}: a schema must be a JSON object"
    for keyword in _REFUSED:
        if keyword in schema:
            return f"at {_shown(path)}: the platform does not take {keyword}; leave it out"
    for check in (_check_type, _check_values, _check_reference):
        violation = check(schema, path, place, root)
        if violation is not None:
            return violation
    return _check_below(schema, path, place, root)


def _check_type(schema: dict[str, Any], path: _Path, place: _Place, root: dict[str, Any]) -> Violation:
    declared = schema.get("type")
    kinds = declared if isinstance(declared, list) else [] if declared is None else [declared]
    if not all(isinstance(kind, str) and kind in _TYPES for kind in kinds):
        return f"at {_shown(path)}: type must be one of {', '.join(sorted(_TYPES))}"
    kind_format = schema.get("format")
    if "timestamp" in kinds:
        if place not in _TIMESTAMP_PLACES:
            return f"at {_shown(path)}: timestamp is for top-level properties and those of objects in a top-level array"
        if kind_format not in _TIME_FORMATS:
            return f"at {_shown(path)}: a timestamp needs format, one of {', '.join(_TIME_FORMATS)}"
    elif "string" in kinds and kind_format is not None and kind_format not in _STRING_FORMATS:
        return f"at {_shown(path)}: format must be one of {', '.join(_STRING_FORMATS)}"
    return None


def _check_values(schema: dict[str, Any], path: _Path, place: _Place, root: dict[str, Any]) -> Violation:
    if "minItems" in schema and (isinstance(schema["minItems"], bool) or schema["minItems"] not in (0, 1)):
        return f"at {_shown(path)}: minItems must be 0 or 1"
    if "enum" in schema and not (isinstance(schema["enum"], list) and schema["enum"]):
        return f"at {_shown(path)}: enum must be a filled array"
    for value in [*schema.get("enum", ()), schema.get("const")]:
        if isinstance(value, dict | list):
            return f"at {_shown(path)}: enum and const take booleans, null, numbers and strings"
    required = schema.get("required", [])
    if not (isinstance(required, list) and all(isinstance(name, str) for name in required)):
        return f"at {_shown(path)}: required must be an array of strings"
    return None


def _check_reference(schema: dict[str, Any], path: _Path, place: _Place, root: dict[str, Any]) -> Violation:
    reference = schema.get("$ref")
    if reference is None:
        return None
    if not isinstance(reference, str) or not reference.startswith("#"):
        return f"at {_shown(path)}: $ref must point into this schema (#/$defs/...)"
    target: object = root
    for part in reference[1:].lstrip("/").split("/") if reference != "#" else ():
        step = part.replace("~1", "/").replace("~0", "~")
        if not isinstance(target, dict) or step not in target:
            return f"at {_shown(path)}: $ref points to nothing"
        target = target[step]
    return None


def _check_below(schema: dict[str, Any], path: _Path, place: _Place, root: dict[str, Any]) -> Violation:
    properties = schema.get("properties", {})
    definitions = schema.get("$defs", {})
    options = schema.get("anyOf", [])
    if not isinstance(properties, dict) or not isinstance(definitions, dict):
        return f"at {_shown(path)}: properties and $defs must be JSON objects"
    if not isinstance(options, list):
        return f"at {_shown(path)}: anyOf must be an array"
    below: list[tuple[object, _Path, _Place]] = []
    for name, child in properties.items():
        if name in _CLOCK_NAMES and not _is_clock(child):
            return f"at {_shown((path, f'.{name}'))}: must be a plain number, integer, string or timestamp"
        below.append((child, (path, f".{name}"), _PROPERTY_OF.get(place, _Place.DEEP)))
    below += [(child, (path, f".$defs.{name}"), _Place.ANYWHERE) for name, child in definitions.items()]
    below += [(child, (path, f".anyOf[{index}]"), place) for index, child in enumerate(options)]
    if "items" in schema:
        below.append((schema["items"], (path, "[]"), _ITEM_OF.get(place, _Place.DEEP)))
    for child, at, where in below:
        violation = _check(child, at, where, root)
        if violation is not None:
            return violation
    return None


def _is_clock(schema: object) -> bool:
    return isinstance(schema, dict) and isinstance(schema.get("type"), str) and schema["type"] in _CLOCK_TYPES


def _shown(path: _Path, longest_step: int = 40) -> str:
    steps: list[str] = []
    here: _Path | None = path
    while here is not None:
        here, step = here
        steps.append(step if len(step) <= longest_step else step[:longest_step] + "…")
    return "".join(reversed(steps))
