"""How a file is cut into chunks, and which of them are left. Pure; chunks are counted from 1, as the platform does."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ChunkPlan:
    """A file of `size` bytes in chunks of `chunk_size`; the last one has the rest."""

    size: int
    chunk_size: int

    @property
    def total(self) -> int:
        """How many chunks there are."""
        return -(-self.size // self.chunk_size)

    def start(self, index: int) -> int:
        """The offset of the chunk's first byte in the file."""
        return (index - 1) * self.chunk_size

    def length(self, index: int) -> int:
        """The bytes of the chunk."""
        return min(self.chunk_size, self.size - self.start(index))

    def missing(self, done: set[int]) -> list[int]:
        """The chunks that are not done, in order."""
        return [index for index in range(1, self.total + 1) if index not in done]

    def bytes_of(self, done: Iterable[int]) -> int:
        """The bytes of these chunks together."""
        return sum(self.length(index) for index in done)


def to_ranges(indexes: Iterable[int]) -> tuple[tuple[int, int], ...]:
    """Indexes as ranges (first, last) in order."""
    ranges: list[tuple[int, int]] = []
    for index in sorted(indexes):
        if ranges and ranges[-1][1] == index - 1:
            ranges[-1] = (ranges[-1][0], index)
        else:
            ranges.append((index, index))
    return tuple(ranges)


def from_ranges(ranges: Iterable[tuple[int, int]], total: int) -> set[int]:
    """The inverse of `to_ranges`, without what lies beyond `total`."""
    return {index for first, last in ranges for index in range(max(first, 1), min(last, total) + 1)}
