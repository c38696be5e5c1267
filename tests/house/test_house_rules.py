"""Rules of the house that a program can check: sizes of files and folders, docstrings, imports, words in messages."""

from __future__ import annotations

import ast
import re
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]
PACKAGES = ("service", "contracts")
SOURCES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
LARGEST_FILE = 350
MOST_MODULES = 14
# What does not keep to these two yet. The numbers may only become smaller.
LONGER: dict[str, int] = {}
FULLER: dict[str, int] = {}
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*")])
# A home folder, a temporary file of somebody's, an address of a private network: nothing of a machine is committed.
MACHINES = re.compile(r"(?<![\w.])/(?:home|Users|root|work)/\w|\b(?:10|192\.168)\.\d+\.\d+\.\d+\b")
UNNAMED = ("utils", "helpers", "common", "misc", "manager")


def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _public(tree: ast.Module) -> Iterator[ast.AST]:
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            yield node


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_is_short_and_says_what_it_holds(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()

    assert len(lines) <= LONGER.get(str(path.relative_to(ROOT)), LARGEST_FILE)
    assert path.stem not in UNNAMED
    if lines:
        assert ast.get_docstring(_tree(path)), "a module begins with a line about what it holds"


def test_public_functions_and_classes_are_documented() -> None:
    bare = [
        f"{path.relative_to(ROOT)}: {node.name}"
        for path in SOURCES
        for node in _public(_tree(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and not ast.get_docstring(node)
    ]

    assert bare == []


def test_a_folder_holds_one_subject() -> None:
    counts: dict[Path, int] = defaultdict(int)
    for path in SOURCES:
        if path.name != "__init__.py" and path.parts[len(ROOT.parts)] == "service":
            counts[path.parent] += 1
    by_name = {str(folder.relative_to(ROOT)): count for folder, count in counts.items()}

    assert {name: count for name, count in by_name.items() if count > FULLER.get(name, MOST_MODULES)} == {}


def test_packages_of_the_service_import_each_other_in_one_direction() -> None:
    edges: dict[str, set[str]] = defaultdict(set)
    for path in SOURCES:
        if path.parts[len(ROOT.parts)] != "service" or path.parent == ROOT / "service":
            continue
        own = path.parts[len(ROOT.parts) + 1]
        for node in ast.walk(_tree(path)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("service."):
                other = (node.module or "").split(".")[1]
                if other != own and (ROOT / "service" / other).is_dir():
                    edges[own].add(other)

    # The demo is a command of its own: `cli` starts it, and it shows events with the views of `cli`.
    edges["cli"].discard("sandbox")
    # So is the console: `cli` starts it, and it reads the topics with what the commands read them with.
    edges["cli"].discard("console")
    # The two lie beneath all layers, and redaction has to know which settings are secrets.
    edges["telemetry"].discard("settings")
    assert _cycle(edges) is None


def _cycle(edges: dict[str, set[str]]) -> list[str] | None:
    done: set[str] = set()

    def visit(name: str, path: list[str]) -> list[str] | None:
        if name in path:
            return [*path[path.index(name) :], name]
        if name in done:
            return None
        for other in sorted(edges.get(name, ())):
            if found := visit(other, [*path, name]):
                return found
        done.add(name)
        return None

    return next((found for name in sorted(edges) if (found := visit(name, []))), None)


def test_no_exception_message_is_made_with_repr() -> None:
    """A message reaches a person: names stand bare, or in backticks."""
    found: list[str] = []
    for path in SOURCES:
        for node in ast.walk(_tree(path)):
            if not isinstance(node, ast.Raise) or node.exc is None:
                continue
            found.extend(
                f"{path.relative_to(ROOT)}:{part.lineno}"
                for part in ast.walk(node.exc)
                if isinstance(part, ast.FormattedValue) and part.conversion == ord("r")
            )

    assert found == []


def test_nothing_of_a_machine_is_in_code_or_documents() -> None:
    texts = [*SOURCES, *(path for path in DOCUMENTS if path.suffix in {".md", ".py"})]
    found = [
        f"{path.relative_to(ROOT)}: {match.group()}"
        for path in texts
        if (match := MACHINES.search(path.read_text(encoding="utf-8")))
    ]

    assert found == []


def test_links_between_documents_lead_somewhere() -> None:
    missing = [
        f"{path.relative_to(ROOT)}: {target}"
        for path in DOCUMENTS
        if path.suffix == ".md"
        for target in re.findall(r"\]\(([^)#\s]+)", path.read_text(encoding="utf-8"))
        if "://" not in target and not (path.parent / target).exists()
    ]

    assert missing == []


def test_every_decision_has_its_number_once() -> None:
    numbers = [path.name[:4] for path in (ROOT / "docs" / "decisions").glob("*.md")]

    assert sorted(numbers) == sorted(set(numbers))


def test_the_version_is_said_the_same_everywhere() -> None:
    from service.version import VERSION

    assert tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"] == VERSION
