"""What a JSON body may hold, as small checks that are put together. Nothing here comes from the project's own code."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

Check = Callable[[Any, str], None]
ID = re.compile(r"[0-9a-fA-F]{24}")


class Violated(Exception):
    """A rule of the platform's documents was not kept. `status` and `code` are what is answered."""

    def __init__(self, reason: str, status: int = 400, code: str = "parameter_invalid") -> None:
        super().__init__(reason)
        self.reason, self.status, self.code = reason, status, code


def strict_json(data: bytes) -> Any:
    """Decode a body: UTF-8, no NaN, and no member twice."""

    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        names = [name for name, _ in pairs]
        if len(set(names)) != len(names):
            raise Violated(f"a member is there twice: {names}")
        return dict(pairs)

    def no_constant(text: str) -> None:
        raise Violated(f"{text} is no JSON")

    try:
        return json.loads(data.decode("utf-8"), object_pairs_hook=members, parse_constant=no_constant)
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise Violated(f"the body is no JSON: {error}") from None


def obj(members: dict[str, Check]) -> Check:
    """An object with these members and no others. A name that ends in `!` is required. None may be null."""
    known = {name.rstrip("!"): check for name, check in members.items()}
    required = [name.rstrip("!") for name in members if name.endswith("!")]

    def check(value: Any, name: str) -> None:
        if not isinstance(value, dict):
            raise Violated(f"{name} must be an object")
        for member in value:
            if member not in known:
                raise Violated(f"{name}.{member} is no member that is documented", code="parameter_unknown")
            if value[member] is None:
                raise Violated(f"{name}.{member} is null; an omitted member is left out")
        for member in required:
            if member not in value:
                raise Violated(f"{name}.{member} is missing", code="parameter_not_provided")
        for member, given in value.items():
            known[member](given, f"{name}.{member}")

    return check


def text(least: int = 1, most: int | None = None, pattern: str | None = None) -> Check:
    def check(value: Any, name: str) -> None:
        if not isinstance(value, str) or len(value) < least or (most is not None and len(value) > most):
            raise Violated(f"{name} must be a string of {least} to {most} characters")
        if pattern is not None and not re.fullmatch(pattern, value):
            raise Violated(f"{name} does not match {pattern}")

    return check


def one_of(*choices: Any) -> Check:
    def check(value: Any, name: str) -> None:
        if not any(value == choice and type(value) is type(choice) for choice in choices):
            raise Violated(f"{name} must be one of {choices}")

    return check


def number(least: float, most: float | None = None) -> Check:
    def check(value: Any, name: str) -> None:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise Violated(f"{name} must be a number")
        if value < least or (most is not None and value > most):
            raise Violated(f"{name} must be from {least} to {most}")

    return check


def whole(least: int, most: int | None = None) -> Check:
    in_range = number(least, most)

    def check(value: Any, name: str) -> None:
        if not isinstance(value, int):
            raise Violated(f"{name} must be an integer")
        in_range(value, name)

    return check


def flag(value: Any, name: str) -> None:
    if not isinstance(value, bool):
        raise Violated(f"{name} must be true or false")


def listed(item: Check, least: int, most: int | None = None) -> Check:
    def check(value: Any, name: str) -> None:
        if not isinstance(value, list) or len(value) < least or (most is not None and len(value) > most):
            raise Violated(f"{name} must be an array of {least} to {most} items")
        for index, one in enumerate(value):
            item(one, f"{name}[{index}]")

    return check


def base64_text(most_bytes: int) -> Check:
    def check(value: Any, name: str) -> None:
        text()(value, name)
        if not re.fullmatch(r"[A-Za-z0-9+/]+={0,2}", value):
            raise Violated(f"{name} is no base64 (a data: prefix is none)")
        if len(value.rstrip("=")) * 3 // 4 > most_bytes:
            raise Violated(f"{name} holds more than {most_bytes} bytes")

    return check


def url(schemes: str = "https?") -> Check:
    return text(pattern=rf"{schemes}://[^/\s]+\S*")


def user_metadata(value: Any, name: str) -> None:
    """Strings, numbers, booleans and arrays of strings; integers that a double can't hold are strings."""
    if not isinstance(value, dict):
        raise Violated(f"{name} must be an object")
    for member, given in value.items():
        strings = isinstance(given, list) and all(isinstance(item, str) for item in given)
        if not isinstance(given, str | int | float | bool) and not strings:
            raise Violated(f"{name}.{member} has a type that metadata can't have")
        if isinstance(given, int) and abs(given) > 2**53 - 1:
            raise Violated(f"{name}.{member} is beyond 2^53-1")
        if given in ("", []):
            raise Violated(f"{name}.{member} is empty, so it is dropped")
