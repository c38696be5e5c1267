"""Patterns of the names of videos, as shells have them."""

from __future__ import annotations

import re
from functools import lru_cache


class NotAGlob(ValueError):
    """The text is no glob; the message says why."""


@lru_cache(maxsize=1_000)
def glob_pattern(glob: str) -> re.Pattern[str]:
    """The pattern that a whole name must match. Raises `NotAGlob`.

    `*` and `?` stop at `/`, `**/` is any number of folders, `[a-z]` and `[!a-z]` are one character but `/`.
    """
    parts: list[str] = []
    at = 0
    while at < len(glob):
        if glob.startswith("**/", at):
            parts.append("(?:.*/)?")
            at += 3
        elif glob.startswith("**", at):
            parts.append(".*")
            at += 2
        elif glob[at] == "[":
            end = glob.find("]", at + 2)
            if end < 0:
                raise NotAGlob("the bracket has no end")
            parts.append(f"(?!/){_set(glob[at + 1 : end])}")
            at = end + 1
        else:
            parts.append({"*": "[^/]*", "?": "[^/]"}.get(glob[at]) or re.escape(glob[at]))
            at += 1
    try:
        return re.compile("".join(parts), re.DOTALL)
    except re.error as error:
        raise NotAGlob(f"what is in its brackets is no set of characters ({error.msg})") from None


def _set(inside: str) -> str:
    """A set of characters for `re`: only `-` has a meaning in it, and `!` or `^` at its beginning."""
    negated = inside[0] in "!^"
    characters = re.sub(r"[\\\[\]&~|^]", r"\\\g<0>", inside[1:] if negated else inside)
    return f"[{'^' if negated else ''}{characters}]"
