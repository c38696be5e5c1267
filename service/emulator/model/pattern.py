"""A text that matches a regular expression, for string members with `pattern`."""

from __future__ import annotations

import random
import re
import string
from importlib import import_module
from typing import Any

from service.emulator.refusals import invalid

# The standard library's own parser of expressions; it has no public name since 3.11.
_parser: Any = import_module("re._parser")
_PLAIN = string.ascii_letters + string.digits + "_- .,:/"


def text_matching(pattern: str, rng: random.Random) -> str:
    """A short text that `pattern` finds; raises `Refusal` for an expression that can't be read or met."""
    try:
        text = _sequence(_parser.parse(pattern), rng)
        found = re.search(pattern, text)
    except (re.error, ValueError) as error:
        raise invalid(f"The pattern {pattern!r} is invalid: {error}.") from None
    if found is None:
        raise invalid(f"The pattern {pattern!r} is too intricate.")
    return text


def _sequence(items: Any, rng: random.Random) -> str:
    return "".join(_item(str(operator), value, rng) for operator, value in items)


def _item(operator: str, value: Any, rng: random.Random) -> str:
    match operator:
        case "LITERAL":
            return chr(value)
        case "NOT_LITERAL":
            return rng.choice([char for char in _PLAIN if char != chr(value)])
        case "ANY":
            return rng.choice(string.ascii_lowercase)
        case "IN":
            return _one_of(value, rng)
        case "BRANCH":
            return _sequence(rng.choice(value[1]), rng)
        case "SUBPATTERN":
            return _sequence(value[-1], rng)
        case "AT":
            return ""
        case "MAX_REPEAT" | "MIN_REPEAT" | "POSSESSIVE_REPEAT":
            least, most, inner = value
            count = rng.randint(int(least), min(int(most), int(least) + 3))
            return "".join(_sequence(inner, rng) for _ in range(count))
    raise ValueError(f"{operator.lower()} is not supported")


def _one_of(choices: Any, rng: random.Random) -> str:
    negated = str(choices[0][0]) == "NEGATE"
    named = "".join(_members(str(operator), value) for operator, value in choices)
    allowed = "".join(char for char in _PLAIN if char not in named) if negated else named
    if not allowed:
        raise ValueError("a set of characters is empty")
    return rng.choice(allowed)


def _members(operator: str, value: Any) -> str:
    match operator:
        case "LITERAL":
            return chr(value)
        case "RANGE":
            return "".join(map(chr, range(value[0], min(value[1], value[0] + 255) + 1)))
        case "CATEGORY":
            return {
                "CATEGORY_DIGIT": string.digits,
                "CATEGORY_WORD": string.ascii_letters + string.digits + "_",
                "CATEGORY_SPACE": " ",
            }.get(str(value), string.ascii_lowercase)
    return ""
