"""A text that matches a regular expression, for string members with `pattern`.

It reads its own small part of the syntax: characters, classes, groups, alternatives, repeats, and `^` and `$` at the
ends. So a pattern costs time in proportion to its length and to the text, whatever a stranger has written in it.
"""

from __future__ import annotations

import random
import string
from collections.abc import Iterator
from dataclasses import dataclass

from service.emulator.refusals import invalid

_LONGEST_PATTERN = 2_000
_LONGEST_TEXT = 10_000
_DEEPEST_GROUP = 30
_MOST_REPEATS = 1_000
_EXTRA_REPEATS = 3
"""How many more than it must an open repeat (`*`, `+`, `{2,}`) yields at most."""
_TRIES = 20
_PLAIN = string.ascii_letters + string.digits + "_- .,:/"
"""What a negated class is chosen from."""
_CLASSES = {"d": string.digits, "w": string.ascii_letters + string.digits + "_", "s": " "}
_CONTROLS = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "v": "\v"}


class _Unsupported(Exception):
    """The pattern can't be read or met; the message says why."""


@dataclass(frozen=True, slots=True)
class _Choice:
    """One of these characters."""

    characters: str


@dataclass(frozen=True, slots=True)
class _Edge:
    """`^` or `$`."""

    start: bool


@dataclass(frozen=True, slots=True)
class _Sequence:
    items: tuple[_Part, ...]


@dataclass(frozen=True, slots=True)
class _Alternatives:
    options: tuple[_Sequence, ...]


@dataclass(frozen=True, slots=True)
class _Repeat:
    item: _Part
    least: int
    most: int


_Part = _Choice | _Edge | _Sequence | _Alternatives | _Repeat


def text_matching(pattern: str, rng: random.Random) -> str:
    """A text in which `pattern` is found; raises `Refusal` for a pattern that it does not read or can't meet."""
    shown = pattern if len(pattern) <= 80 else f"{pattern[:80]}…"
    try:
        part = _Reader(pattern).read()
        for _ in range(_TRIES):
            text = _written(part, rng)
            if text is not None:
                return text
    except _Unsupported as problem:
        raise invalid(f"The emulator can't make a text for the pattern {shown}: {problem}.") from None
    raise invalid(f"The emulator can't make a text for the pattern {shown}: no text was found.")


class _Reader:
    """Parses by recursive descent; groups may be nested to a fixed depth."""

    def __init__(self, pattern: str) -> None:
        if len(pattern) > _LONGEST_PATTERN:
            raise _Unsupported(f"it is longer than {_LONGEST_PATTERN} characters")
        self._pattern = pattern
        self._at = 0
        self._depth = 0

    def read(self) -> _Part:
        part = self._alternatives()
        if self._at < len(self._pattern):
            raise _Unsupported("a parenthesis is closed that was not opened")
        return part

    def _next(self) -> str:
        if self._at >= len(self._pattern):
            raise _Unsupported("it ends too early")
        self._at += 1
        return self._pattern[self._at - 1]

    def _accept(self, text: str) -> bool:
        found = self._pattern.startswith(text, self._at)
        self._at += len(text) if found else 0
        return found

    def _alternatives(self) -> _Part:
        options = [self._sequence()]
        while self._accept("|"):
            options.append(self._sequence())
        return _Alternatives(tuple(options)) if len(options) > 1 else options[0]

    def _sequence(self) -> _Sequence:
        items: list[_Part] = []
        while self._at < len(self._pattern) and self._pattern[self._at] not in "|)":
            items.append(self._repeated(self._item()))
        return _Sequence(tuple(items))

    def _item(self) -> _Part:
        match char := self._next():
            case "^" | "$":
                return _Edge(start=char == "^")
            case ".":
                return _Choice(string.ascii_lowercase)
            case "[":
                return _Choice(self._class())
            case "(":
                return self._group()
            case "\\":
                return _Choice(self._escape())
            case "*" | "+" | "?":
                raise _Unsupported("there is nothing to repeat")
        return _Choice(char)

    def _group(self) -> _Part:
        if self._accept("?") and not self._accept(":"):
            raise _Unsupported("only plain groups and (?:…) are read")
        self._depth += 1
        if self._depth > _DEEPEST_GROUP:
            raise _Unsupported("its groups are nested too deeply")
        part = self._alternatives()
        if not self._accept(")"):
            raise _Unsupported("a parenthesis is not closed")
        self._depth -= 1
        return part

    def _repeated(self, item: _Part) -> _Part:
        char = self._pattern[self._at : self._at + 1]
        if char == "" or char not in "*+?{":
            return item
        self._at += 1
        if char == "{":
            least, most = self._counts()
        else:
            least, most = {"*": (0, _EXTRA_REPEATS), "+": (1, 1 + _EXTRA_REPEATS), "?": (0, 1)}[char]
        if not self._accept("?"):
            self._accept("+")
        if most < least or least > _MOST_REPEATS:
            raise _Unsupported(f"a repeat must be in order and at most {_MOST_REPEATS}")
        return _Repeat(item, least, min(most, least + _EXTRA_REPEATS))

    def _counts(self) -> tuple[int, int]:
        end = self._pattern.find("}", self._at)
        least, comma, most = self._pattern[self._at : max(end, 0)].partition(",")
        if end < 0 or not _is_count(least) or (most and not _is_count(most)):
            raise _Unsupported("a repeat in braces must be {m}, {m,} or {m,n}")
        self._at = end + 1
        return int(least), int(most) if most else int(least) + (_EXTRA_REPEATS if comma else 0)

    def _class(self) -> str:
        negated = self._accept("^")
        found: list[str] = []
        first = True
        while first or not self._accept("]"):
            first = False
            low = self._member()
            if len(low) == 1 and self._pattern.startswith("-", self._at) and self._pattern[self._at + 1 :][:1] != "]":
                self._at += 1
                high = self._member()
                if len(high) != 1 or high < low:
                    raise _Unsupported("a range of characters is not in order")
                found.append("".join(map(chr, range(ord(low), min(ord(high), ord(low) + 255) + 1))))
            else:
                found.append(low)
        named = "".join(found)
        allowed = "".join(char for char in _PLAIN if char not in named) if negated else named
        if not allowed:
            raise _Unsupported("a class of characters is empty")
        return allowed

    def _member(self) -> str:
        char = self._next()
        return self._escape() if char == "\\" else char

    def _escape(self) -> str:
        char = self._next()
        if char.lower() in _CLASSES:
            named = _CLASSES[char.lower()]
            return named if char.islower() else "".join(item for item in _PLAIN if item not in named)
        if char in "xu":
            length = 2 if char == "x" else 4
            digits = self._pattern[self._at : self._at + length]
            self._at += length
            if len(digits) < length or not set(digits) <= set(string.hexdigits):
                raise _Unsupported("a hexadecimal escape is cut off")
            value = int(digits, 16)
            if 0xD800 <= value <= 0xDFFF:
                raise _Unsupported("half of a surrogate pair is no character")
            return chr(value)
        if char in _CONTROLS:
            return _CONTROLS[char]
        if char.isalnum():
            raise _Unsupported(f"\\{char} is not read")
        return char


def _is_count(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 6


def _written(part: _Part, rng: random.Random) -> str | None:
    """A text for the pattern; None when `^` or `$` came to stand inside it."""
    text: list[str] = []
    closed = False
    for count, item in enumerate(_flat(part, rng)):
        if count > _LONGEST_TEXT:
            raise _Unsupported(f"its text is longer than {_LONGEST_TEXT} characters")
        if isinstance(item, _Edge):
            if item.start and text:
                return None
            closed = closed or not item.start
            continue
        if closed:
            return None
        text.append(rng.choice(item.characters))
    return "".join(text)


def _flat(part: _Part, rng: random.Random) -> Iterator[_Choice | _Edge]:
    """The parts in order, with one of each alternative and each repeat written out.

    Repeats of nothing are skipped at once, because `((){1000}){1000}` has no text to stop at.
    """
    match part:
        case _Choice() | _Edge():
            yield part
        case _Sequence(items):
            for item in items:
                yield from _flat(item, rng)
        case _Alternatives(options):
            yield from _flat(rng.choice(options), rng)
        case _Repeat(item, least, most):
            for _ in range(rng.randint(least, most)):
                written = False
                for piece in _flat(item, rng):
                    written = True
                    yield piece
                if not written:
                    return
