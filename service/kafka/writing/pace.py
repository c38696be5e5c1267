"""How many transactions a second the whole process may begin."""

from __future__ import annotations

from service.clock import Clock

TRANSACTIONS_PER_SECOND = 300.0
"""Each costs a few milliseconds of the broker's coordinator and about one of ours (docs/kafka-rules.md, rule 13)."""

_BURST = 30.0


class TransactionPace:
    """Shared by the writers of a process: above the limit each waits for its turn, and gathers units meanwhile.

    A token bucket, kept as the time at which the next transaction is due.
    """

    def __init__(self, clock: Clock, *, per_second: float = TRANSACTIONS_PER_SECOND) -> None:
        self._clock = clock
        self._interval = 1.0 / per_second
        self._due = clock.monotonic()

    def reserve(self) -> float:
        """Take a turn; seconds to wait before the transaction may begin, 0 while there are few."""
        now = self._clock.monotonic()
        turn = max(self._due, now - _BURST * self._interval)
        self._due = turn + self._interval
        return max(0.0, turn - now)
