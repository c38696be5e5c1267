"""For records that may be sent whoever owns what: a late one does no harm."""

from __future__ import annotations


class NoLease:
    """A `Lease` and a `SendRight` that never ends."""

    def alive(self) -> bool:
        """Always."""
        return True

    def may_send(self, partition: int) -> bool:
        """Always."""
        return True
