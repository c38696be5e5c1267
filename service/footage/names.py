"""Names of files and objects: what a request can hold of them, and how they are shown. Pure."""

from __future__ import annotations

import os
import re

_HALF = re.compile("[\ud800-\udfff]")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def is_text(name: str) -> bool:
    """Whether JSON can hold the name: bytes of a file system that are not UTF-8 are halves of characters here."""
    return _HALF.search(name) is None


def has_controls(name: str) -> bool:
    """Whether the name holds control characters, which the address of an object can't: line breaks are among them.

    The two separators of Unicode count as line breaks, as they do in the pattern of the schema of requests. Spaces of
    any width, soft hyphens and marks of the direction of text are none.
    """
    return _CONTROL.search(name) is not None


def without_controls(name: str) -> str:
    """The name with an underscore for each control character, for those who are told a name beside the content."""
    return _CONTROL.sub("_", name)


def escaped(path: str) -> str:
    """A path of the operating system with escapes for bytes that are not UTF-8 and for what can't be printed."""
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)
