"""Writes the generated part of the contract, and tells whether what is committed is still it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from contracts import asyncapi, schemas

GENERATED = Path(__file__).parent / "generated"
"""Where the committed files are."""


def render() -> dict[str, str]:
    """Every generated file: its path below the directory, and its text. The same for the same models."""
    files = {f"schemas/{name}.schema.json": _text(schema) for name, schema in schemas.all_schemas().items()}
    files["asyncapi.json"] = _text(asyncapi.document())
    return files


def export(directory: Path = GENERATED) -> list[Path]:
    """Write all files below `directory`, remove schemas that are no more, and return what was written."""
    files = render()
    for stale in _unexpected(directory, files):
        stale.unlink()
    written = []
    for name, text in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="\n")
        written.append(path)
    return written


def check(directory: Path = GENERATED) -> list[str]:
    """What differs between `directory` and the models, a line each; empty when nothing does."""
    files = render()
    drifts = []
    for name, text in files.items():
        path = directory / name
        if not path.is_file():
            drifts.append(f"{name} is missing")
        elif path.read_text(encoding="utf-8") != text:
            drifts.append(f"{name} differs from the models")
    drifts += [f"{path.relative_to(directory)} belongs to no model" for path in _unexpected(directory, files)]
    return drifts


def _unexpected(directory: Path, files: dict[str, str]) -> list[Path]:
    found = sorted((directory / "schemas").glob("*.schema.json"))
    return [path for path in found if path.relative_to(directory).as_posix() not in files]


def _text(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"
