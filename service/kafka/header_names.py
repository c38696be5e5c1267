"""Header names: text in the program, any bytes in Kafka.

Kafka's protocol says UTF-8 and brokers do not check it. A name is therefore decoded with Python's `surrogateescape`:
a name in UTF-8 is ordinary text that can be compared with a literal, and every other byte string comes back unchanged
from `name_bytes`.
"""

from __future__ import annotations


def name_text(name: bytes) -> str:
    """The name as text."""
    return name.decode("utf-8", "surrogateescape")


def name_bytes(name: str) -> bytes:
    """The name as it is written to Kafka; the inverse of `name_text`."""
    return name.encode("utf-8", "surrogateescape")


def is_utf8(name: str) -> bool:
    """Whether the name is valid UTF-8, which is all that aiokafka can write."""
    if name.isascii():
        return True
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
