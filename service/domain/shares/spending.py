"""The account's money, decided in the order of the ledger: who may spend how much today.

What an attempt may cost at most is reserved before it is claimed, and replaced by what it did cost when it has ended.
Every process folds the same records in the same order with the same times (those of the log), so all agree on every
reservation without any other message. A reservation carries the limits it is decided by: processes whose settings
differ for the time of a deployment still agree. Amounts are whole millionths of the currency: sums of fractions would
not agree.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

DAY_MS: Final = 86_400_000
MICRO: Final = 1_000_000
"""Amounts are counted in this part of the currency."""


@dataclass(frozen=True, slots=True)
class Reservation:
    """What an attempt may cost at most. `id` names the attempt. A limit that is None does not exist."""

    id: str
    amount: int
    per_day: int | None = None
    tenant: str | None = None
    per_tenant: int | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """A reservation is beyond a limit. `spent`: what is spent or reserved of it today already."""

    of: Literal["account", "tenant"]
    limit: int
    spent: int


class Spending:
    """What is spent and reserved today and was yesterday. Folding one more record costs the same whatever there is."""

    def __init__(self) -> None:
        self._day = 0
        self._days: dict[tuple[int, str | None], int] = {}  # None: of all together
        self._open: dict[str, tuple[int, Reservation]] = {}

    def __repr__(self) -> str:
        return f"<Spending {self._days.get((self._day, None), 0) / MICRO:.2f} today, {len(self._open)} open>"

    def reserve(self, wanted: Reservation, at_ms: int) -> Refused | None:
        """Fold a reservation that the log has at `at_ms`. None: it is made. The same one again is still the same one.

        One of a day before is made anew: what is paid counts for the day on which the attempt begins.
        """
        day = self._turn(at_ms)
        known = self._open.get(wanted.id)
        if known is not None:
            if known[0] == day:
                return None
            self._close(wanted.id, 0)
        spent = self._days.get((day, None), 0)
        if wanted.per_day is not None and spent + wanted.amount > wanted.per_day:
            return Refused("account", wanted.per_day, spent)
        if wanted.per_tenant is not None:
            theirs = self._days.get((day, _name(wanted.tenant)), 0)
            if theirs + wanted.amount > wanted.per_tenant:
                return Refused("tenant", wanted.per_tenant, theirs)
        self._open[wanted.id] = (day, wanted)
        self._add(day, wanted.tenant, wanted.amount)
        return None

    def settle(self, reservation_id: str, amount: int, at_ms: int) -> None:
        """The attempt has ended and did cost `amount`. Of what is not known, or was settled, nothing changes."""
        self._turn(at_ms)
        self._close(reservation_id, amount)

    def spent(self, at_ms: int, tenant: str | None = None, *, of_all: bool = True) -> int:
        """What is spent or reserved on the UTC day of `at_ms`: of all together, or of one tenant."""
        return self._days.get((at_ms // DAY_MS, None if of_all else _name(tenant)), 0)

    def _close(self, reservation_id: str, amount: int) -> None:
        found = self._open.pop(reservation_id, None)
        if found is not None:
            day, reservation = found
            self._add(day, reservation.tenant, amount - reservation.amount)

    def _add(self, day: int, tenant: str | None, amount: int) -> None:
        for name in (None, _name(tenant)):
            self._days[day, name] = self._days.get((day, name), 0) + amount

    def _turn(self, at_ms: int) -> int:
        """The day of a record. The log's time does not go back; what is older than yesterday is forgotten."""
        day = max(self._day, at_ms // DAY_MS)
        if day != self._day:
            self._day = day
            self._days = {key: amount for key, amount in self._days.items() if key[0] >= day - 1}
            self._open = {name: one for name, one in self._open.items() if one[0] >= day - 1}
        return day


def _name(tenant: str | None) -> str:
    return tenant or ""
