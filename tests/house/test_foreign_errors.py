"""A foreign error reaches a person through `service/words.py` only, never by its own text or its `repr`."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]

# Files where a foreign kind is told by its text all the same, and why that text is words.
PLAIN = {
    ("service/cli/commands/emulator.py", "ValueError"): "a pace or a limit that we have refused",
    ("service/cli/commands/dead_letters/choice.py", "ValueError"): "a position that we have refused",
    ("service/cli/commands/dead_letters/group.py", "ValueError"): "a position that we have refused",
    ("service/emulator/analysis/analysis_request.py", "ValueError"): "a directive that we have refused",
    ("service/emulator/http/admin_routes.py", "ValueError"): "a fault rule that we have refused",
    ("service/kafka/connecting/credentials.py", "ValueError"): "a file of a secret that we have refused",
    ("service/ops/webhooks/secrets.py", "ValueError"): "a file of a secret that we have refused",
    ("contracts/json_reader.py", "ValueError"): "a parser's word on what is wrong, with line and column",
    ("service/cli/request_body.py", "orjson.JSONDecodeError"): "a parser's word, with line and column",
    ("service/domain/result/decoded.py", "ValueError"): "a parser's word, with line and column",
    ("service/ingest/rules/reading.py", "tomllib.TOMLDecodeError"): "a parser's word, with line and column",
    ("service/ingest/rules/reading.py", "orjson.JSONDecodeError"): "a parser's word, with line and column",
    ("service/settings/sections.py", "orjson.JSONDecodeError"): "a parser's word, with line and column",
    ("service/settings/sources.py", "tomllib.TOMLDecodeError"): "only searched for its line, and without it",
    ("service/settings/__init__.py", "SourceError"): "only searched for the section's name",
    ("service/kafka/reading/codecs.py", "zlib.error"): "a codec's word on what is wrong with the bytes",
    ("service/kafka/reading/codecs.py", "cramjam.DecompressionError"): "a codec's word on what is wrong",
}


def files() -> list[Path]:
    return sorted([*(ROOT / "service").rglob("*.py"), *(ROOT / "contracts").rglob("*.py")])


def own_names(tree: ast.Module) -> set[str]:
    """Names that the file defines itself, or takes from our own packages."""
    found = {node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in ("service", "contracts"):
            found |= {alias.asname or alias.name for alias in node.names}
    return found


def caught(kind: ast.expr | None) -> list[str]:
    if kind is None:
        return ["everything"]
    return [ast.unparse(one) for one in (kind.elts if isinstance(kind, ast.Tuple) else [kind])]


def told(node: ast.AST, name: str) -> Iterator[int]:
    """Lines that make a text of the error itself."""

    def is_it(value: ast.AST) -> bool:
        return isinstance(value, ast.Name) and value.id == name

    for inner in ast.walk(node):
        if isinstance(inner, ast.FormattedValue) and is_it(inner.value):
            yield inner.lineno
        if isinstance(inner, ast.Call) and ast.unparse(inner.func) in ("str", "repr") and any(map(is_it, inner.args)):
            yield inner.lineno


def broken(source: str) -> list[tuple[int, str]]:
    tree = ast.parse(source)
    own = own_names(tree)
    return [
        (line, kind)
        for handler in ast.walk(tree)
        if isinstance(handler, ast.ExceptHandler) and handler.name
        for kind in caught(handler.type)
        if kind.split(".")[0] not in own
        for statement in handler.body
        for line in told(statement, handler.name)
    ]


def test_the_check_finds_what_it_looks_for() -> None:
    foreign = "try:\n    a()\nexcept KeyError as error:\n    raise B({}) from None\n"

    for text in ('f"x {error}"', "str(error)", "repr(error)", 'f"{error!r}"'):
        assert broken(foreign.format(text)) == [(4, "KeyError")]
    assert broken("from service.errors import E\n" + foreign.replace("KeyError", "E").format("str(error)")) == []
    assert broken(foreign.format("in_words(error)")) == []


def test_no_foreign_error_is_told_by_its_own_text() -> None:
    found, used = [], set()
    for path in files():
        name = path.relative_to(ROOT).as_posix()
        for line, kind in broken(path.read_text(encoding="utf-8")):
            used.add((name, kind))
            if (name, kind) not in PLAIN:
                found.append(f"{name}:{line}: {kind}")
    assert not found, "\n".join(found)
    assert PLAIN.keys() <= used, f"no longer needed: {PLAIN.keys() - used}"
