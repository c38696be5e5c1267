"""Checks of numbers that an operator or a test gives: paces, fault rules, directives."""

from __future__ import annotations

import math
from typing import Any

MOST_CHARACTERS = 5_000_000
"""Of a generated text."""
MOST_FRAGMENTS = 200_000
LONGEST_SECONDS = 7 * 86_400.0


def number(name: str, value: Any, least: float, most: float = LONGEST_SECONDS) -> float:
    """A number from JSON or text, within the range; raises `ValueError` with a message for the caller."""
    try:
        found = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        found = math.nan
    if not least <= found <= most:  # also true of NaN
        raise ValueError(f"{name} must be a number from {least:g} to {most:g}")
    return found


def whole_number(name: str, value: Any, least: float, most: float = 1e9) -> int:
    """As `number`, without a fraction."""
    try:
        found = number(name, value, least, most)
    except ValueError:
        found = math.nan
    if not found.is_integer():
        raise ValueError(f"{name} must be a whole number from {least:.0f} to {most:.0f}")
    return int(found)
