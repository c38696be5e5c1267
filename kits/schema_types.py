"""Reads the contract's JSON Schemas into a few plain shapes that types of any language can be made of.

It knows what those schemas use, and refuses the rest: a construct that is new there must be thought about here.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Schema = dict[str, Any]
_SAYS_NO_TYPE = frozenset(
    {
        "$schema", "$id", "$defs", "default", "description", "title", "format", "pattern", "minimum", "maximum",
        "exclusiveMinimum", "exclusiveMaximum", "minLength", "maxLength", "minItems", "maxItems", "uniqueItems",
    }
)  # fmt: skip
"""Rules and remarks: the service checks them, a type can't say them."""


@dataclass(frozen=True)
class Type:
    """`kind`: string, integer, number, boolean, null, any, literal, array, map, union or named."""

    kind: str
    parts: tuple[Type, ...] = ()
    values: tuple[Any, ...] = ()
    name: str = ""


@dataclass(frozen=True)
class Member:
    """One member of an object."""

    name: str
    type: Type
    required: bool
    about: str


@dataclass(frozen=True)
class Shape:
    """An object with known members."""

    name: str
    about: str
    members: tuple[Member, ...]


@dataclass(frozen=True)
class Alias:
    """A name for something that is no object."""

    name: str
    type: Type


def read_shapes(folder: Path) -> list[Shape | Alias]:
    """Every object of every schema, once, those that others name before them."""
    found: dict[str, Shape | Alias] = {}
    for path in sorted(folder.glob("*.schema.json")):
        schema = json.loads(path.read_text(encoding="utf-8"))
        if path.name.startswith("dead_letter"):
            continue  # headers, not a value: the kits read four of them by name
        for name, part in [*schema.get("$defs", {}).items(), (schema["title"], schema)]:
            shape = _shape(name, part)
            if found.setdefault(name, shape) != shape:
                raise ValueError(f"{path.name} has another {name} than an earlier schema")
    return _named_first(found)


def _named_first(shapes: dict[str, Shape | Alias]) -> list[Shape | Alias]:
    ordered: dict[str, Shape | Alias] = {}

    def visit(name: str) -> None:
        if name in ordered:
            return
        shape = shapes[name]
        types = [shape.type] if isinstance(shape, Alias) else [member.type for member in shape.members]
        for inner in types:
            for other in _names(inner):
                if other != name:
                    visit(other)
        ordered[name] = shape

    for name in sorted(shapes):
        visit(name)
    return list(ordered.values())


def _names(kind: Type) -> list[str]:
    return [kind.name] if kind.kind == "named" else [name for part in kind.parts for name in _names(part)]


def _shape(name: str, schema: Schema) -> Shape | Alias:
    if "properties" not in schema:
        return Alias(name, _type(schema))
    required = set(schema.get("required", ()))
    members = tuple(
        Member(member, _type(part), member in required, part.get("description", ""))
        for member, part in schema["properties"].items()
    )
    return Shape(name, schema.get("description", ""), members)


def _type(schema: Schema) -> Type:
    # `allOf` holds rules between members only; the service checks them.
    says = {key: value for key, value in schema.items() if key not in _SAYS_NO_TYPE and key != "allOf"}
    if not says:
        return Type("any")
    match says:
        case {"$ref": str(target), **rest} if not rest:
            return Type("named", name=target.removeprefix("#/$defs/"))
        case {"anyOf": list(parts), **rest} | {"oneOf": list(parts), **rest} if not rest:
            return Type("union", tuple(_type(part) for part in parts))
        case {"const": value, **rest} if set(rest) <= {"type"}:
            return Type("literal", values=(value,))
        case {"enum": list(values), **rest} if set(rest) <= {"type"}:
            return Type("literal", values=tuple(values))
        case {"type": "array", "items": dict(items), **rest} if not rest:
            return Type("array", (_type(items),))
        case {"type": "object", **rest} if set(rest) <= {"additionalProperties"}:
            inner = rest.get("additionalProperties", True)
            return Type("map", (_type(inner) if isinstance(inner, dict) else Type("any"),))
        case {"type": "string" | "integer" | "number" | "boolean" | "null" as kind, **rest} if not rest:
            return Type(kind)
        case _:
            raise ValueError(f"the types of the kits can't express {json.dumps(says)[:300]}")
