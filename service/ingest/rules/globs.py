"""Patterns of names as shells have them: `*` and `?` within a part, `**` over parts, `[…]` a set of characters."""

from __future__ import annotations

import re
from functools import lru_cache


@lru_cache(maxsize=1_000)
def glob_pattern(glob: str) -> re.Pattern[str]:
    """The pattern that a whole name must match. Raises `ValueError` for a set that is not closed."""
    parts: list[str] = []
    at = 0
    while at < len(glob):
        if glob.startswith("**/", at):
            parts.append("(?:.*/)?")
            at += 3
        elif glob.startswith("**", at):
            parts.append(".*")
            at += 2
        elif glob[at] == "*":
            parts.append("[^/]*")
            at += 1
        elif glob[at] == "?":
            parts.append("[^/]")
            at += 1
        elif glob[at] == "[":
            end = glob.find("]", at + 2)
            if end < 0:
                raise ValueError("a [ has no ] behind it")
            inside = glob[at + 1 : end].replace("\\", "\\\\").replace("[", "\\[")
            parts.append(f"[^{inside[1:]}]" if inside[0] in "!^" else f"[{inside}]")
            at = end + 1
        else:
            parts.append(re.escape(glob[at]))
            at += 1
    return re.compile("".join(parts), re.DOTALL)
