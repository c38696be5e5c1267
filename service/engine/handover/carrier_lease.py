"""A carrier's lease on one partition: until when what it carries there may be sent."""

from __future__ import annotations

from collections import deque

from service.domain.handover import CARRIER_LEASE_MS


class CarrierLease:
    """Lasts ten seconds from the moment before the last renewal was sent that we have read back from the log.

    Reading it back proves that we have seen everything in front of it: a renewal behind the owner's `Stop` counts for
    nothing. So a carrier that was frozen, or cut off from Kafka, may go on only after it has asked the log. Times are
    seconds of a clock that goes on while the machine sleeps.
    """

    def __init__(self, begun_at: float) -> None:
        """`begun_at`: before the first notes were sent. They were delivered while the partition was certainly ours."""
        self._ends_at = begun_at + CARRIER_LEASE_MS / 1000
        self._renewals: deque[tuple[int, float]] = deque()
        self._read_to = -1

    def __repr__(self) -> str:
        return f"<CarrierLease until {self._ends_at:.1f}, {len(self._renewals)} renewals not read back>"

    def alive(self, now: float) -> bool:
        """Whether it has not run out."""
        return now < self._ends_at

    def renewed(self, offset: int, sent_at: float) -> None:
        """The last note of a renewal that began at `sent_at` stands at `offset`."""
        self._renewals.append((offset, sent_at))
        self._count()

    def read(self, offset: int) -> None:
        """The partition was read up to and with `offset`."""
        self._read_to = max(self._read_to, offset)
        self._count()

    def _count(self) -> None:
        while self._renewals and self._renewals[0][0] <= self._read_to:
            _, sent_at = self._renewals.popleft()
            self._ends_at = max(self._ends_at, sent_at + CARRIER_LEASE_MS / 1000)
