"""What tests read from the pages: blocks of code with their language and title, and commands with what they print."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
_BLOCK = re.compile(r'^( *)```(\w+)(?: title="([^"]+)")?\n(.*?)^\1```$', re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block of code."""

    page: str
    language: str
    title: str | None
    text: str


@dataclass(frozen=True, slots=True)
class Command:
    """A command of a `console` block, and the lines that the page shows below it."""

    text: str
    shown: tuple[str, ...]


def page(name: str) -> str:
    """The text of a page, by its path below docs/."""
    return (DOCS / name).read_text(encoding="utf-8")


def blocks(name: str) -> list[Block]:
    """All fenced blocks of a page, in order."""
    return [Block(name, *match.group(2, 3, 4)) for match in _BLOCK.finditer(page(name))]


def snippet(name: str, title: str) -> str:
    """The program with this title."""
    (found,) = (block.text for block in blocks(name) if block.title == title)
    return found


def commands(block: Block) -> Iterator[Command]:
    """The commands of a `console` block. A line without `$ ` belongs to what the command before it prints."""
    lines = block.text.splitlines()
    starts = [number for number, line in enumerate(lines) if line.startswith("$ ")]
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        yield Command(lines[start][2:], tuple(line for line in lines[start + 1 : end] if line.strip()))
