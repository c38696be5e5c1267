"""The subset of JSON Schema that the platform documents."""

from __future__ import annotations

from typing import Any

from tests.standin.rules import Violated

_TYPES = {"array", "boolean", "integer", "null", "number", "object", "string", "timestamp"}
_ALWAYS = {"type", "title", "description", "$defs", "$ref", "anyOf"}
_OF_TYPE = {
    "integer": {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"},
    "string": {"pattern", "format", "const", "enum"},
    "object": {"properties", "required"},
    "array": {"items", "minItems"},
    "boolean": {"const", "enum"},
    "null": {"const", "enum"},
    "number": {"const", "enum"},
    "timestamp": {"format"},
}
_UNPROCESSABLE = {"minLength", "maxLength", "additionalProperties", "uniqueItems", "maxItems"}
_STRING_FORMATS = {"uuid", "date-time", "date", "time"}
_TIME_FORMATS = {"seconds", "hh:mm:ss", "hh:mm:ss.fff"}


def json_schema(value: Any, name: str) -> None:
    """Check a schema from its root."""
    if not isinstance(value, dict):
        raise Violated(f"{name} must be an object")
    _node(value, name, value, place="root")


def _node(node: Any, name: str, root: dict[str, Any], *, place: str) -> None:
    """`place`: root, top (a property of the root), row (an item of an array at the top), cell (its property), deep."""
    if not isinstance(node, dict):
        raise Violated(f"{name} must be an object")
    kind = node.get("type")
    for keyword in node:
        if keyword in _UNPROCESSABLE:
            raise Violated(f"{name}.{keyword} is not supported", status=422)
    if kind is not None and kind not in _TYPES:
        raise Violated(f"{name}.type must be one of {sorted(_TYPES)}")
    if kind is None and not {"anyOf", "$ref"} & node.keys():
        raise Violated(f"{name} has no type")
    wrong = node.keys() - _ALWAYS - _OF_TYPE.get(str(kind), set())
    if wrong:
        raise Violated(f"{name}: {sorted(wrong)} can't be used with type {kind}")
    if kind == "timestamp":
        if node.get("format") not in _TIME_FORMATS:
            raise Violated(f"{name}.format must be one of {sorted(_TIME_FORMATS)}")
        if place not in {"top", "cell"}:
            raise Violated(f"{name}: a timestamp is allowed at the top level or in objects of a top-level array")
    if kind == "string" and "format" in node and node["format"] not in _STRING_FORMATS:
        raise Violated(f"{name}.format must be one of {sorted(_STRING_FORMATS)}")
    if "minItems" in node and node["minItems"] not in (0, 1):
        raise Violated(f"{name}.minItems must be 0 or 1")
    if "$ref" in node and not _resolves(str(node["$ref"]), root):
        raise Violated(f"{name}.$ref must lead to a place in this schema")
    _children(node, name, root, place=place)


def _children(node: dict[str, Any], name: str, root: dict[str, Any], *, place: str) -> None:
    properties = node.get("properties", {})
    for member, child in properties.items():
        below = {"root": "top", "row": "cell"}.get(place, "deep")
        if member in {"start_time", "end_time"} and child.get("type") not in {
            "number",
            "integer",
            "string",
            "timestamp",
        }:
            raise Violated(f"{name}.properties.{member} must be a number, integer, string or timestamp")
        _node(child, f"{name}.properties.{member}", root, place=below)
    missing = set(node.get("required", [])) - properties.keys()
    if missing:
        raise Violated(f"{name}.required names {sorted(missing)}, which are no properties")
    if "items" in node:
        _node(node["items"], f"{name}.items", root, place="row" if place in {"root", "top"} else "deep")
    for index, child in enumerate(node.get("anyOf", [])):
        _node(child, f"{name}.anyOf[{index}]", root, place=place)
    for member, child in node.get("$defs", {}).items():
        _node(child, f"{name}.$defs.{member}", root, place="deep")


def _resolves(reference: str, root: dict[str, Any]) -> bool:
    if not reference.startswith("#"):
        return False
    here: Any = root
    for step in reference.lstrip("#").strip("/").split("/"):
        if step:
            here = here.get(step) if isinstance(here, dict) else None
    return isinstance(here, dict)


def instance(node: dict[str, Any], root: dict[str, Any]) -> Any:
    """Some value that the schema allows, well enough for an answer."""
    if "$ref" in node:
        here: Any = root
        for step in str(node["$ref"]).lstrip("#").strip("/").split("/"):
            here = here[step] if step else here
        return instance(here, root)
    if "anyOf" in node:
        return instance(node["anyOf"][0], root)
    if "const" in node or "enum" in node:
        return node["const"] if "const" in node else node["enum"][0]
    match node["type"]:
        case "object":
            return {name: instance(child, root) for name, child in node.get("properties", {}).items()}
        case "array":
            return [instance(node["items"], root)] if "items" in node else []
        case "integer":
            return max(0, int(node.get("minimum", node.get("exclusiveMinimum", -1) + 1)))
        case "number":
            return 1.5
        case "boolean":
            return True
        case "null":
            return None
        case "timestamp":
            return {"seconds": 1.0, "hh:mm:ss": "00:00:01", "hh:mm:ss.fff": "00:00:01.000"}[node["format"]]
    return "text"
