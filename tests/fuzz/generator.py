"""The records of a fuzz run. Pure: seed and number give a record, whatever was made before it."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from tests.fuzz import hostile
from tests.fuzz.case import CODECS, Case, Damage, Header
from tests.fuzz.mutations import as_text, mutate_bytes, mutate_structure
from tests.fuzz.requests import Sources, Valid, failing_request, valid_request

_SHARES = {
    "valid": 60,
    "failing": 15,
    "repeat": 40,
    "cancel": 30,
    "structure": 330,
    "bytes": 210,
    "headers": 90,
    "neutral_headers": 40,
    "key": 40,
    "envelope": 25,
    "broken_envelope": 60,
    "costly": 20,
    "unsendable": 20,
    "odd_batch": 12,
    "damaged_batch": 8,
}
"""How many of a thousand records are of each kind."""

STRICT_KINDS = frozenset({"valid", "failing", "neutral_headers", "envelope", "odd_batch"})
"""Kinds of which the end is known in advance; repeats and cancels refer to these."""

_BACK = 300
_KEYS = 24
_ROOM_BYTES = 2_048
_STRICT_KEY_BYTES = 4_096
_DAMAGES: tuple[Damage, ...] = ("crc", "magic_0", "magic_1", "length", "control", "null_header", "count", "codec")
_MINUTE_MS = 60_000


@dataclass(frozen=True, slots=True)
class Generator:
    """Makes the records of one seed."""

    seed: int
    sources: Sources
    partitions: int
    limit_bytes: int
    """Of a record, as its topic has it."""
    now_ms: int
    """The time that odd timestamps are near to."""
    without: frozenset[str] = frozenset()
    """Kinds that are left out; nothing is repeated of them either."""

    def cases(self, numbers: Iterable[int]) -> Iterator[Case]:
        """The records of these numbers, but for kinds that are left out."""
        return (self.case(number) for number in numbers if self.kind(number) not in self.without)

    def case(self, number: int) -> Case:
        """The record of this number."""
        kind = self.kind(number)
        rng = self._rng(number, "body")
        if kind == "repeat":
            return self._repeat(number, rng)
        if kind == "cancel":
            return self._cancel(number, rng)
        made = self._make(kind, number, rng)
        return self._sent_somehow(made, self._rng(number, "way"))

    def kind(self, number: int) -> str:
        """The kind of a record; cheaper than the record."""
        return self._rng(number, "kind").choices(list(_SHARES), list(_SHARES.values()))[0]

    def again(self, case: Case, number: int) -> Case:
        """The same request once more, as a later record."""
        return replace(case, number=number, kind="repeat")

    def _rng(self, number: int, what: str) -> random.Random:
        return random.Random(f"{self.seed} {number} {what}")

    def _make(self, kind: str, number: int, rng: random.Random) -> Case:
        name = f"f{self.seed}-{number}"
        request = failing_request(rng, name, self.sources) if kind == "failing" else self._request(rng, name)
        key = None if rng.random() < 0.1 else f"cam{rng.randrange(_KEYS)}".encode()
        base = Case(
            number=number,
            kind=kind,
            value=as_text(request.body),
            key=key,
            partition=number % self.partitions,
            codec=rng.choice(CODECS),
        )
        if kind in STRICT_KINDS:
            base = replace(base, request_id=name, ends=request.ends)
        return _CHANGES.get(kind, _as_it_is)(rng, base, request, self)

    def _request(self, rng: random.Random, name: str) -> Valid:
        return valid_request(rng, name, self.sources)

    def _earlier(self, number: int, rng: random.Random) -> Case | None:
        """A request of the last few hundred records."""
        for _ in range(60):
            candidate = number - 1 - rng.randrange(min(number, _BACK)) if number else -1
            if candidate >= 0 and self.kind(candidate) in STRICT_KINDS - self.without:
                return self.case(candidate)
        return None

    def _repeat(self, number: int, rng: random.Random) -> Case:
        earlier = self._earlier(number, rng)
        if earlier is None:
            return self._make("valid", number, rng)
        made = self.again(earlier, number)
        if rng.random() < 0.3:
            made = replace(made, value=as_text({"request_id": earlier.request_id, "prompt": "?", **_VIDEO}), headers=())
        return made

    def _cancel(self, number: int, rng: random.Random) -> Case:
        earlier = self._earlier(number, rng) if rng.random() < 0.8 else None
        name = f"nobody{self.seed}-{number}" if earlier is None else earlier.request_id
        body = {"type": "cancel", "request_id": name}
        where = number % self.partitions if earlier is None else earlier.partition
        key = b"nobody" if earlier is None else earlier.key
        return Case(number=number, kind="cancel", value=as_text(body), key=key, partition=where, request_id=name)

    def _sent_somehow(self, case: Case, rng: random.Random) -> Case:
        if case.route == "raw":
            return case
        printable = all(name and name.isascii() and name.decode().isprintable() for name, _ in case.headers)
        return case if printable and rng.random() < 0.6 else replace(case, route="raw")

    @property
    def room_bytes(self) -> int:
        """How large a record's parts may be together, so that the batch around them still fits."""
        return self.limit_bytes - _ROOM_BYTES


_VIDEO: dict[str, Any] = {"video": {"type": "asset_id", "asset_id": "f" * 24}}
_Change = Callable[[random.Random, Case, Valid, Generator], Case]


def _as_it_is(rng: random.Random, case: Case, request: Valid, made_by: Generator) -> Case:
    return case


def _structure(rng: random.Random, case: Case, request: Valid, made_by: Generator) -> Case:
    return replace(case, value=mutate_structure(rng, request.body, made_by.room_bytes))


def _bytes(rng: random.Random, case: Case, request: Valid, made_by: Generator) -> Case:
    value = None if rng.random() < 0.02 else mutate_bytes(rng, case.value or b"", made_by.room_bytes)
    return replace(case, value=value)


def _headers(rng: random.Random, case: Case, request: Valid, made_by: Generator) -> Case:
    value = mutate_structure(rng, request.body, made_by.room_bytes // 2) if rng.random() < 0.3 else case.value
    return replace(case, value=value, headers=hostile.hostile_headers(rng, made_by.room_bytes // 2))


def _neutral_headers(rng: random.Random, case: Case, request: Valid, made_by: Generator) -> Case:
    return replace(case, headers=hostile.neutral_headers(rng))


def _key(rng: random.Random, case: Case, request: Valid, made_by: Generator) -> Case:
    key = hostile.hostile_key(rng, made_by.room_bytes - len(case.value or b""))
    strict = len(key or b"") <= _STRICT_KEY_BYTES
    if not strict:
        return replace(case, key=key)
    return replace(case, key=key, request_id=request.body["request_id"], ends=request.ends)


def _envelope(rng: random.Random, case: Case, request: Valid, made_by: Generator) -> Case:
    value, headers = hostile.good_envelope(rng, request.body)
    return replace(case, value=value, headers=headers)


def _broken_envelope(rng: random.Random, case: Case, request: Valid, made_by: Generator) -> Case:
    value, headers = hostile.broken_envelope(rng, request.body)
    return replace(case, value=value[: made_by.room_bytes], headers=headers)


def _costly(rng: random.Random, case: Case, request: Valid, made_by: Generator) -> Case:
    return replace(case, value=hostile.costly_document(rng, request.body, made_by.room_bytes))


def _unsendable(rng: random.Random, case: Case, request: Valid, made_by: Generator) -> Case:
    return replace(case, value=hostile.unsendable_request(rng, request.body))


def _odd_batch(rng: random.Random, case: Case, request: Valid, made_by: Generator) -> Case:
    headers: tuple[Header, ...] = hostile.neutral_headers(rng) if rng.random() < 0.5 else ()
    return replace(
        case,
        route="raw",
        headers=headers,
        timestamp_ms=rng.choice([0, 1, -1, made_by.now_ms - 400 * 24 * 60 * _MINUTE_MS, made_by.now_ms + _MINUTE_MS]),
        batch_attributes=rng.choice([0, 0x80, 0x4000, 0x7F00]),
        record_attributes=rng.choice([0, 1, 0x7F, 0xFF]),
    )


def _damaged_batch(rng: random.Random, case: Case, request: Valid, made_by: Generator) -> Case:
    return replace(case, route="raw", damage=rng.choice(_DAMAGES), request_id=None)


_CHANGES: dict[str, _Change] = {
    "structure": _structure,
    "bytes": _bytes,
    "headers": _headers,
    "neutral_headers": _neutral_headers,
    "key": _key,
    "envelope": _envelope,
    "broken_envelope": _broken_envelope,
    "costly": _costly,
    "unsendable": _unsendable,
    "odd_batch": _odd_batch,
    "damaged_batch": _damaged_batch,
}
