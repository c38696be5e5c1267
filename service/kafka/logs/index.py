"""An index of millions of names with 16 bytes for each: a 64-bit fingerprint and an offset.

A hit is verified by reading the record at the offset. Two names share a fingerprint with a probability
of n²/2⁶⁵ (a millionth for six million names): then the newer one hides the older.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

_RECENT = 8_192  # in a dict: ten times the memory each; merging them into a million takes about 20 ms
_GONE = -1

Keys = NDArray[np.uint64]
Offsets = NDArray[np.int64]


def fingerprint(name: bytes) -> int:
    """64 bits of `name`, the same in every process."""
    return int.from_bytes(blake2b(name, digest_size=8).digest(), "little")


class IndexBuilder:
    """Collects the records of a log in their order; the last one of a name counts."""

    def __init__(self) -> None:
        self._digests = bytearray()
        self._offsets = array("q")

    def add(self, name: bytes, offset: int) -> None:
        self._digests += blake2b(name, digest_size=8).digest()
        self._offsets.append(offset)

    def __len__(self) -> int:
        return len(self._offsets)

    def sort(self) -> tuple[Keys, Offsets]:
        """Sorted arrays without repeats. About 0.1 s for a million: run it in a thread."""
        keys = np.frombuffer(bytes(self._digests), dtype="<u8").astype(np.uint64, copy=False)
        offsets = np.frombuffer(self._offsets.tobytes(), dtype=np.int64)
        order = np.argsort(keys, kind="stable")
        keys, offsets = keys[order], offsets[order]
        if len(keys):
            last = np.append(keys[1:] != keys[:-1], True)
            if not last.all():
                keys, offsets = keys[last], offsets[last]
        return keys, offsets


class FingerprintIndex:
    """Fingerprint to offset; the greatest offset of a fingerprint wins, whatever the order of `put`."""

    def __init__(self) -> None:
        self._keys: Keys = np.empty(0, dtype=np.uint64)
        self._offsets: Offsets = np.empty(0, dtype=np.int64)
        self._recent: dict[int, int] = {}  # never holds a key that the arrays hold
        self._gone = 0

    def __len__(self) -> int:
        return len(self._keys) - self._gone + len(self._recent)

    def __repr__(self) -> str:
        return f"<FingerprintIndex {len(self)} entries, {len(self._recent)} of them recent, {self._gone} gone>"

    def adopt(self, keys: Keys, offsets: Offsets) -> None:
        """Take over what an `IndexBuilder` has sorted; what was put meanwhile stays. The index must be new."""
        newer, self._recent = self._recent, {}
        self._keys, self._offsets, self._gone = keys, offsets.copy(), 0
        for key, offset in newer.items():
            self.put(key, offset)

    def put(self, key: int, offset: int) -> None:
        found = self._position(key)
        if found is not None:
            if self._offsets[found] == _GONE:
                self._gone -= 1
            self._offsets[found] = max(int(self._offsets[found]), offset)
            return
        if offset > self._recent.get(key, _GONE):
            self._recent[key] = offset
        if len(self._recent) > _RECENT:
            self._merge()

    def get(self, key: int) -> int | None:
        recent = self._recent.get(key)
        if recent is not None:
            return recent
        found = self._position(key)
        if found is None:
            return None
        offset = int(self._offsets[found])
        return None if offset == _GONE else offset

    def discard(self, key: int) -> None:
        if self._recent.pop(key, None) is not None:
            return
        found = self._position(key)
        if found is not None and self._offsets[found] != _GONE:
            self._offsets[found] = _GONE
            self._gone += 1

    def drop_below(self, offset: int) -> int:
        """Forget entries whose records retention has removed; returns how many."""
        before = len(self)
        self._recent = {key: at for key, at in self._recent.items() if at >= offset}
        keep = self._offsets >= max(offset, 0)
        if not keep.all():
            self._keys, self._offsets, self._gone = self._keys[keep], self._offsets[keep], 0
        return before - len(self)

    def _position(self, key: int) -> int | None:
        at = int(np.searchsorted(self._keys, np.uint64(key)))
        return at if at < len(self._keys) and int(self._keys[at]) == key else None

    def _merge(self) -> None:
        if self._gone:
            keep = self._offsets != _GONE
            self._keys, self._offsets, self._gone = self._keys[keep], self._offsets[keep], 0
        added = sorted(self._recent.items())
        keys, offsets = _columns(added)
        at = np.searchsorted(self._keys, keys)
        self._keys = np.insert(self._keys, at, keys)
        self._offsets = np.insert(self._offsets, at, offsets)
        self._recent = {}


def _columns(items: Sequence[tuple[int, int]]) -> tuple[Keys, Offsets]:
    return (
        np.fromiter((key for key, _ in items), dtype=np.uint64, count=len(items)),
        np.fromiter((offset for _, offset in items), dtype=np.int64, count=len(items)),
    )
