"""Changes to a request: of its structure, while it is a JSON document, and of its bytes."""

from __future__ import annotations

import json
import random
import re
import string
from collections.abc import Callable
from typing import Any

_RAW = "\x01raw\x02"
_RAW_STRING = re.compile(r'"\\u0001raw\\u0002((?:[^"\\]|\\.)*)"')
_NUMBERS = (
    "0", "-0", "-1", "1e999", "-1e999", "NaN", "Infinity", "0.1e-400", "9007199254740993", "9223372036854775808",
    "-9223372036854775809", "18446744073709551616", "1" + "0" * 400, "1e308", "01", "1.", "0x10", "1_000", "+1",
)  # fmt: skip
_STRINGS = (
    '""', '" "', r'"\u0000"', r'"\ud800"', r'"\udfff x"', r'"\ud83d\ude00"', r'"\u2028\u2029"', '"../../etc/passwd"',
    '"file:///etc/passwd"', '"http://127.0.0.1:1/a.mp4"', '"http://[::1"', '"https://user:secret@127.0.0.1:1/"',
    '"%s%n{0}${jndi:ldap://127.0.0.1:1/a}"', '"\u202eabc"', '"__proto__"', '"data:video/mp4;base64,AAAA"', '"AAAA="',
    '"2026-02-30T25:61:61Z"', '"2026-01-01"', '"9999-12-31T23:59:60+23:59"', '"pegasus9"', '"<@a><@b>"', '"(a+)+$"',
)  # fmt: skip
_LITERALS = ("null", "true", "false", "[]", "{}", "[[]]", '[{"a":1}]', '{"type":"url"}', '{"type":"file","path":7}')
_NAMES = (
    "type", "request_id", "video", "image", "prompt", "prompt_v2", "mode", "upload", "model_name", "temperature",
    "max_tokens", "response_format", "start_time", "end_time", "analysis_mode", "min_segment_duration", "metadata",
    "max_segment_duration", "on_interrupt", "deadline", "specversion", "data", "data_base64", "key", "run", "tenant",
    "priority", "batch", "recorded_at",
)  # fmt: skip
_DEPTHS = (5, 60, 130, 300, 1_000, 20_000)
_WIDTHS = (10, 10, 10, 100, 100, 100, 100, 1_000, 1_000, 20_000)
"""How often one item is repeated; the large ones are rare, since they cost the generator most."""


def mutate_structure(rng: random.Random, body: dict[str, Any], limit: int) -> bytes:
    """The JSON text of a copy of `body` with one to four changes, of at most `limit` bytes."""
    document = json.loads(json.dumps(body))
    for _ in range(rng.choice([1, 1, 1, 2, 4])):
        rng.choice([_replace, _replace, _replace, _delete, _add, _rename, _repeat_items])(rng, document)
    return as_text(document)[:limit]


def as_text(document: Any) -> bytes:
    """JSON, in which strings that `raw` made are written as they are."""
    text = json.dumps(document, ensure_ascii=False)
    return _RAW_STRING.sub(lambda found: str(json.loads(f'"{found[1]}"')), text).encode("utf-8", "surrogatepass")


def mutate_bytes(rng: random.Random, data: bytes, limit: int) -> bytes:
    """`data` with one to six changes that know nothing of JSON."""
    changed = bytearray(data)
    for _ in range(rng.choice([1, 1, 2, 6])):
        rng.choice(_BYTE_CHANGES)(rng, changed)
    return bytes(changed[:limit])


def raw(text: str) -> str:
    """A string that stands for `text` itself in the JSON: numbers no library writes, values cut short."""
    return _RAW + text


def hostile_value(rng: random.Random) -> Any:
    """A value that a parser, a model or the platform may stumble over."""
    choice = rng.randrange(10)
    if choice < 3:
        return raw(rng.choice(_NUMBERS))
    if choice < 6:
        return raw(rng.choice(_STRINGS))
    if choice < 8:
        return raw(rng.choice(_LITERALS))
    if choice == 8:
        return _deep(rng)
    return rng.choice(["a", "é", "a.a.a", "\U0001f600", "<@x>", "://", "\\", '"'])[: rng.randrange(1, 6)] * rng.choice(
        [100, 5_000, 40_000]
    )


def _deep(rng: random.Random) -> str:
    depth = rng.choice(_DEPTHS)
    opening, closing = rng.choice([("[", "]"), ('{"a":', "}"), ('[{"b":', "}]")])
    return raw(opening * depth + "1" + closing * depth)


def _containers(document: Any) -> list[Any]:
    found, waiting = [], [document]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict | list):
            found.append(item)
            waiting.extend(item.values() if isinstance(item, dict) else item)
    return found


def _place(rng: random.Random, document: Any) -> tuple[Any, Any] | None:
    """A container that is not empty, and one of its names or numbers."""
    filled = [item for item in _containers(document) if item]
    if not filled:
        return None
    container = rng.choice(filled)
    return container, rng.choice(list(container) if isinstance(container, dict) else list(range(len(container))))


def _replace(rng: random.Random, document: Any) -> None:
    if place := _place(rng, document):
        place[0][place[1]] = hostile_value(rng)


def _delete(rng: random.Random, document: Any) -> None:
    if place := _place(rng, document):
        del place[0][place[1]]


def _add(rng: random.Random, document: Any) -> None:
    container = rng.choice(_containers(document))
    if isinstance(container, dict):
        container[rng.choice(_NAMES)] = hostile_value(rng)
    else:
        container.append(hostile_value(rng))


def _rename(rng: random.Random, document: Any) -> None:
    place = _place(rng, document)
    if place and isinstance(place[0], dict):
        container, name = place
        value = container.pop(name)
        container[rng.choice([name.upper(), f" {name}", f"{name}\0", f"{name}́", *_NAMES])] = value


def _repeat_items(rng: random.Random, document: Any) -> None:
    container = rng.choice(_containers(document))
    many = rng.choice(_WIDTHS)
    if isinstance(container, list) and container:
        container.extend(container[:1] * many)
    elif isinstance(container, dict):
        container.update({f"member {number}": number for number in range(many)})


def _flip(rng: random.Random, data: bytearray) -> None:
    if data:
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def _remove(rng: random.Random, data: bytearray) -> None:
    start, end = _span(rng, data)
    del data[start:end]


def _insert(rng: random.Random, data: bytearray) -> None:
    at = rng.randrange(len(data) + 1)
    data[at:at] = rng.choice(
        [
            rng.randbytes(rng.randrange(1, 20)),
            b"\x00",
            b"\xef\xbb\xbf",
            b"\xc3\x28",
            b"\xed\xa0\x80",
            b"\\u",
            b'"',
            b"}",
        ]
    )


def _copy(rng: random.Random, data: bytearray) -> None:
    start, end = _span(rng, data)
    data[end:end] = data[start:end]


def _cut(rng: random.Random, data: bytearray) -> None:
    del data[rng.randrange(len(data) + 1) :]


def _encode_otherwise(rng: random.Random, data: bytearray) -> None:
    text = bytes(data).decode("utf-8", "replace")
    data[:] = text.encode(rng.choice(["utf-16", "utf-16-le", "utf-32", "latin-1", "utf-8-sig"]), "replace")


def _random(rng: random.Random, data: bytearray) -> None:
    data[:] = rng.randbytes(rng.choice([0, 1, 16, 300, 20_000]))


def _blank(rng: random.Random, data: bytearray) -> None:
    data[:] = rng.choice([b" ", b"\n", b"\t", b"\0", b"[", b'{"a":', b'"']) * rng.choice([1, 10, 1_000, 100_000])


def _letters(rng: random.Random, data: bytearray) -> None:
    if data:
        at = rng.randrange(len(data))
        data[at : at + 4] = "".join(rng.choices(string.printable, k=4)).encode()


def _span(rng: random.Random, data: bytearray) -> tuple[int, int]:
    start = rng.randrange(len(data) + 1)
    return start, min(len(data), start + rng.choice([1, 4, 30, 300]))


_BYTE_CHANGES: tuple[Callable[[random.Random, bytearray], None], ...] = (
    _flip, _flip, _flip, _remove, _remove, _insert, _insert, _copy, _cut, _letters, _encode_otherwise, _random, _blank,
)  # fmt: skip
