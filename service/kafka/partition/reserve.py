"""Memory for parked jobs that must be loaded although there is no room: canceled ones, and those whose time is over."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

RESERVE_BYTES = 8 * 1024 * 1024
"""Of records, for all partitions of a process together. A larger job is loaded alone."""

_LOOK_SECONDS = 0.25


class Reserve:
    """One per process. A job holds its share from before it is loaded until it has ended, or its partition is closed.

    One job may always be loaded when none holds a share, however large it is: so somebody always comes to an end.
    """

    def __init__(self, limit_bytes: int = RESERVE_BYTES) -> None:
        self._limit_bytes = limit_bytes
        self._shares: dict[tuple[object, bytes], tuple[int, Callable[[], bool]]] = {}
        self._turn = asyncio.Lock()

    @property
    def held_bytes(self) -> int:
        """What the jobs hold that have not ended."""
        for share in [share for share, (_, ended) in self._shares.items() if ended()]:
            del self._shares[share]
        return sum(size for size, _ in self._shares.values())

    def at_once(self, owner: object, key: bytes, size: int) -> bool:
        """Whether `take` would not wait: the job has its share, or there is one and nobody waits for it."""
        return (owner, key) in self._shares or (not self._turn.locked() and self._fits(size))

    async def take(
        self, owner: object, key: bytes, size: int, ended: Callable[[], bool], other: Callable[[], bool]
    ) -> None:
        """Wait for a share, in the order of the calls. Returns without one when `other` says there is memory elsewhere.

        `ended` says whether the job no longer needs its share. A job that has a share keeps it.
        """
        if (owner, key) in self._shares or other():
            return
        async with self._turn:
            while not self._fits(size):
                if other():
                    return
                await asyncio.sleep(_LOOK_SECONDS)
            self._shares[owner, key] = size, ended

    def release(self, owner: object) -> None:
        """Give back the shares of a partition that is closed."""
        for share in [share for share in self._shares if share[0] is owner]:
            del self._shares[share]

    def _fits(self, size: int) -> bool:
        held = self.held_bytes
        return held + size <= self._limit_bytes or not held
