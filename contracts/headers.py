"""Kafka headers: a name may come as text or as bytes, a value may be null, and either may be any bytes at all."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

Header = tuple[str | bytes, bytes | None]
"""What the readers of headers in this package take."""


def name_text(name: str | bytes) -> str:
    """The name as text. Every byte string has one: bytes are read as Latin-1, which can't fail."""
    return name if isinstance(name, str) else name.decode("latin-1")


def header_values(headers: Iterable[Header], names: Sequence[str]) -> list[str | None]:
    """The values of every header whose name is one of `names` (given in lower case), whatever the
    case of its own, in order.

    None stands for a value that is null or not UTF-8.
    """
    found: list[str | None] = []
    for name, value in headers:
        if name_text(name).lower() in names:
            try:
                found.append(None if value is None else value.decode("utf-8"))
            except UnicodeDecodeError:
                found.append(None)
    return found


def headers_size(headers: Iterable[Header]) -> int:
    """Bytes of all names and values together."""
    size = 0
    for name, value in headers:
        size += len(name if isinstance(name, bytes) else name.encode("utf-8", "surrogatepass"))
        size += 0 if value is None else len(value)
    return size
