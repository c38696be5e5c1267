"""Ids of spans that several processes must know: computed from durable facts, so that no process has to tell another.

A job may begin in one process and end in another. Each of them computes the same ids, so all of its spans hang
together, whichever process ends first.
"""

from __future__ import annotations

import hashlib

_SEPARATOR = "\0"


def trace_id_of(*parts: str | int) -> int:
    """A trace id (128 bits, never 0) for these parts: evenly distributed, as sampling by ratio needs."""
    return _number(16, parts)


def span_id_of(*parts: str | int) -> int:
    """A span id (64 bits, never 0) for these parts."""
    return _number(8, parts)


def _number(size_bytes: int, parts: tuple[str | int, ...]) -> int:
    text = _SEPARATOR.join(str(part) for part in parts)
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=size_bytes).digest()
    return int.from_bytes(digest) or 1
