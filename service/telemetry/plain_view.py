"""A text with its escapes undone, to search in, and where each character of it stands in the text itself.

A secret is quoted in many spellings: percent-encoded once or twice, in upper or lower case, inside JSON inside JSON.
All of them look alike here, so that a search needs one spelling only. Takes time in proportion to the length.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterator

_ROUNDS = 3
# Chains of one kind (`%25252F`, `\\\\"`) are one escape, however long: rounds are for kinds within kinds.
_ESCAPE = re.compile(
    r"%(?:25)*(?P<percent>[0-9A-Fa-f]{2})"
    r"|(?<!\\)\\++(?:[ux](?P<hex>(?<=u)[0-9A-Fa-f]{4}|(?<=x)[0-9A-Fa-f]{2})|(?P<letter>[nrtbf])|(?P<itself>[^\\]))"
    r"|&(?:#(?P<decimal>[0-9]{1,3})|#[xX](?P<entity>[0-9A-Fa-f]{1,4})|(?P<name>amp|quot|apos|lt|gt));"
)
_NAMED = {"amp": "&", "quot": '"', "apos": "'", "lt": "<", "gt": ">"}
_MARKS = ("%", "\\", "&")
SPACE = "+"
"""What an escaped space becomes: it does not end the word that it stands in."""


class View:
    """`text` is what to search in; `span` tells the place of a part of it in the original."""

    def __init__(self, text: str, starts: array[int] | None = None) -> None:
        self.text = text
        self._starts = starts

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Where `text[start:end]` stands in the original."""
        return (start, end) if self._starts is None else (self._starts[start], self._starts[end])

    def width(self, at: int) -> int:
        """How many characters the one at `at` takes in the original: 1, or more where it was escaped."""
        return 1 if self._starts is None else self._starts[at + 1] - self._starts[at]

    def plainer(self) -> View | None:
        """The view with one kind of escape less; None when there is none."""
        text, old = self.text, self._starts
        if not any(mark in text for mark in _MARKS):
            return None
        parts: list[str] = []
        starts = array("q")
        done = 0
        for found in _ESCAPE.finditer(text):
            begin, end = found.span()
            parts += text[done:begin], _character(found)
            starts.extend(range(done, begin + 1) if old is None else old[done : begin + 1])
            done = end
        if not done:
            return None
        parts.append(text[done:])
        starts.extend(range(done, len(text) + 1) if old is None else old[done:])
        return View("".join(parts), starts)


def views(text: str) -> Iterator[View]:
    """The text as it is, and with its escapes undone, round by round; the last one is the plainest."""
    view: View | None = View(text)
    for _ in range(_ROUNDS + 1):
        if view is None:
            return
        yield view
        view = view.plainer()


def _character(found: re.Match[str]) -> str:
    kind = found.lastgroup
    value = found[kind] if kind else ""
    match kind:
        case "percent" | "hex" | "entity":
            character = chr(int(value, 16))
        case "decimal":
            character = chr(int(value))
        case "name":
            character = _NAMED[value]
        case "letter":
            return SPACE
        case _:
            return value
    return SPACE if character.isspace() or character < " " else character
