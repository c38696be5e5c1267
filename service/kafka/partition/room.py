"""How many bytes of jobs may still be read into memory."""

from __future__ import annotations

from collections.abc import Callable


class RestoreRoom:
    """One per process: for all takeovers, and for parked jobs of all partitions.

    What was read is counted here until its job is handed to the engine, which counts it then. Without that, each of
    many partitions would find the same room for a job of its own.
    """

    def __init__(self, room_bytes: Callable[[], int]) -> None:
        self._room_bytes = room_bytes
        self._reading = 0

    def left(self) -> int:
        """Bytes; negative when more is held than should be."""
        return self._room_bytes() - self._reading

    def count(self, size: int) -> None:
        """`size` bytes more are in memory, or less if negative."""
        self._reading += size
