"""What the group says is ours: the one place that answers "is partition 3 ours?"."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from service.clock import SystemClock


class Assignment:
    """The group's latest assignment. Written by the group's consumer; all others read it, or wait for its change."""

    def __init__(self, now: Callable[[], float] | None = None) -> None:
        """`now`: seconds of a clock that goes on while the machine sleeps."""
        self._now = now or SystemClock().monotonic
        self.partitions: frozenset[int] | None = None
        """The partitions that are ours; None before the first assignment and while a rebalance is under way."""
        self.generation = 0
        """Grows at the beginning and at the end of each rebalance."""
        self.given_at = 0.0
        """When the last rebalance has ended for us. A marker says this, because it is about what was given then: what
        is announced since is of the next rebalance, and a marker that is still under way must not make it void."""
        self._closed = False
        self._event = asyncio.Event()

    def __repr__(self) -> str:
        ours = "undecided" if self.partitions is None else f"partitions {sorted(self.partitions)}"
        return f"<Assignment, generation {self.generation}, {'closed' if self._closed else ours}>"

    @property
    def joined(self) -> bool:
        """Whether the group has told us what is ours, be it nothing."""
        return self.partitions is not None

    def ours(self, partition: int) -> bool | None:
        """Whether the partition is ours; None while a rebalance is under way, so that nobody knows."""
        if self._closed:
            return False
        return None if self.partitions is None else partition in self.partitions

    def may_be_ours(self, partition: int) -> bool:
        """False when it is certain that the partition is not ours: its jobs must end here."""
        return self.ours(partition) is not False

    def revoked(self) -> None:
        """A rebalance has begun."""
        self.partitions = None
        self.generation += 1
        self.announce()

    def given(self, partitions: Iterable[int]) -> None:
        """A rebalance has ended."""
        self.given_at = self._now()
        self.partitions = frozenset(partitions)
        self.generation += 1
        self.announce()

    def close(self) -> None:
        """Nothing is ours from now on: the process is leaving the group."""
        self._closed = True
        self.announce()

    def announce(self) -> None:
        """Wake everything that waits for a change."""
        event, self._event = self._event, asyncio.Event()
        event.set()

    async def changed_from(self, generation: int) -> None:
        """Wait for a change after `generation`, or for `announce`."""
        if self.generation == generation:
            await self._event.wait()

    async def wait_or_change(self, seconds: float) -> None:
        """Wait for that long, or until something changes."""
        waiter = asyncio.create_task(self._event.wait())
        await asyncio.wait({waiter}, timeout=seconds)
        waiter.cancel()
