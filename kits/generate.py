"""Writes the types of both kits from the JSON Schemas of the contract, and tells whether what is committed is theirs.

`python -m kits.generate` writes; `python -m kits.generate --check` compares and ends with 1 on a difference.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kits.schema_types import Alias, Member, Shape, Type, read_shapes

ROOT = Path(__file__).parents[1]
CONTRACT = ROOT / "contracts" / "generated"
PYTHON = Path("kits/python/reelwire_client/events.py")
TYPESCRIPT = Path("kits/typescript/src/events.ts")

_ABOUT = "What crosses Reelwire's borders. Made from the JSON Schemas of the contract by `make contracts`: do not edit."
_ROLES = ("requests", "fragments", "completions", "progress", "dead_letters")


def render() -> dict[Path, str]:
    """Every generated file, by its path below the project's root. The same for the same schemas."""
    channels = json.loads((CONTRACT / "asyncapi.json").read_text(encoding="utf-8"))["channels"]
    names = {
        message: json.loads((CONTRACT / "schemas" / f"{message}.schema.json").read_text(encoding="utf-8"))["title"]
        for role in _ROLES
        for message in channels[role]["messages"]
        if role != "dead_letters"
    }
    groups = {role: {key: names[key] for key in channels[role]["messages"]} for role in _ROLES[:4]}
    topics = {role: channels[role]["address"] for role in _ROLES}
    shapes = read_shapes(CONTRACT / "schemas")
    return {PYTHON: _python(shapes, groups, topics), TYPESCRIPT: _typescript(shapes, groups, topics)}


def drifted(root: Path = ROOT) -> list[str]:
    """The generated files that differ from the schemas."""
    return [
        str(path)
        for path, text in render().items()
        if not (root / path).is_file() or (root / path).read_text(encoding="utf-8") != text
    ]


def _python(shapes: list[Shape | Alias], groups: dict[str, dict[str, str]], topics: dict[str, str]) -> str:
    lines = [
        f'"""{_ABOUT}"""',
        "",
        "# fmt: off",
        "# ruff: noqa: D204, E501, I001",
        "from __future__ import annotations",
        "",
    ]
    lines += [
        "from collections.abc import Mapping",
        "from typing import Any, Literal, NotRequired, TypedDict",
        "",
    ]
    lines += ["", "TOPICS: Mapping[str, str] = {", *(f'    "{role}": "{name}",' for role, name in topics.items()), "}"]
    lines += ['"""The topics by their role, with their default names."""']
    for shape in shapes:
        lines += ["", ""]
        if isinstance(shape, Alias):
            lines += [f"{shape.name} = {_python_type(shape.type)}"]
            continue
        lines += [f"class {shape.name}(TypedDict):", *_python_docstring(shape.about, "    ")]
        lines += [line for member in shape.members for line in _python_member(member)]
    for role, alias in _ALIASES.items():
        lines += ["", ""]
        lines += [f"{alias} = {' | '.join(groups[role].values())}"] if role != "fragments" else []
        types = ", ".join(f'"{key}"' for key in groups[role])
        lines += [f"{role.upper()}_TYPES = frozenset({{{types}}})"]
    lines += ["", "", f"Event = {' | '.join(_ALIASES[role] for role in _EVENT_ROLES)}", ""]
    return "\n".join(lines)


def _python_member(member: Member) -> list[str]:
    kind = _python_type(member.type)
    line = f"    {member.name}: {kind if member.required else f'NotRequired[{kind}]'}"
    return [line, *_python_docstring(member.about, "    ")]


def _python_docstring(about: str, indent: str) -> list[str]:
    if not about:
        return []
    first, *rest = about.split("\n")
    if not rest:
        return [f'{indent}"""{first}"""']
    return [f'{indent}"""{first}', *(f"{indent}{line}".rstrip() for line in rest), f'{indent}"""']


def _python_type(kind: Type) -> str:
    match kind.kind:
        case "literal":
            return f"Literal[{', '.join(_python_literal(value) for value in kind.values)}]"
        case "array":
            return f"list[{_python_type(kind.parts[0])}]"
        case "map":
            return f"dict[str, {_python_type(kind.parts[0])}]"
        case "union":
            return " | ".join(dict.fromkeys(_python_type(part) for part in kind.parts))
        case "named":
            return kind.name
        case other:
            return {
                "string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None", "any": "Any"
            }[other]  # fmt: skip


def _python_literal(value: Any) -> str:
    return json.dumps(value) if isinstance(value, str) else str(value)


def _typescript(shapes: list[Shape | Alias], groups: dict[str, dict[str, str]], topics: dict[str, str]) -> str:
    lines = [f"/** {_ABOUT} */", "", "/** The topics by their role, with their default names. */"]
    lines += ["export const TOPICS = {", *(f'  {role}: "{name}",' for role, name in topics.items()), "} as const;"]
    for shape in shapes:
        lines += [""]
        if isinstance(shape, Alias):
            lines += [f"export type {shape.name} = {_typescript_type(shape.type)};"]
            continue
        lines += [*_typescript_comment(shape.about, ""), f"export interface {shape.name} {{"]
        lines += [line for member in shape.members for line in _typescript_member(member)]
        lines += ["}"]
    for role, alias in _ALIASES.items():
        lines += [""]
        lines += [f"export type {alias} = {' | '.join(groups[role].values())};"] if role != "fragments" else []
        types = ", ".join(f'"{key}"' for key in groups[role])
        lines += [f"export const {role.upper()}_TYPES: ReadonlySet<string> = new Set([{types}]);"]
    lines += ["", f"export type Event = {' | '.join(_ALIASES[role] for role in _EVENT_ROLES)};", ""]
    return "\n".join(lines)


def _typescript_member(member: Member) -> list[str]:
    mark = "" if member.required else "?"
    name = member.name if member.name.isidentifier() else json.dumps(member.name)
    return [*_typescript_comment(member.about, "  "), f"  {name}{mark}: {_typescript_type(member.type)};"]


def _typescript_comment(about: str, indent: str) -> list[str]:
    if not about:
        return []
    first, *rest = about.split("\n")
    if not rest:
        return [f"{indent}/** {first} */"]
    return [f"{indent}/**", *(f"{indent} * {line}".rstrip() for line in (first, *rest)), f"{indent} */"]


def _typescript_type(kind: Type) -> str:
    match kind.kind:
        case "literal":
            return " | ".join(json.dumps(value) for value in kind.values)
        case "array":
            inner = _typescript_type(kind.parts[0])
            return f"({inner})[]" if " | " in inner else f"{inner}[]"
        case "map":
            return f"Record<string, {_typescript_type(kind.parts[0])}>"
        case "union":
            return " | ".join(dict.fromkeys(_typescript_type(part) for part in kind.parts))
        case "named":
            return kind.name
        case "integer":
            return "number"
        case "any":
            return "unknown"
        case other:
            return other


_ALIASES = {
    "requests": "Request",
    "fragments": "Fragment",
    "completions": "Completion",
    "progress": "Progress",
}
_EVENT_ROLES = ("fragments", "completions", "progress")


def main(arguments: list[str], say: Callable[[str], object] = sys.stdout.write) -> int:
    """Write the files, or with `--check` compare them."""
    if arguments == ["--check"]:
        differing = drifted()
        for path in differing:
            say(f"{path} differs from the schemas; run: make contracts\n")
        return 1 if differing else 0
    for name, text in render().items():
        (ROOT / name).write_text(text, encoding="utf-8", newline="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
