"""Room for what costs: a bounded number of streams and calls, and of creations, at once; first come, first served."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from service.domain.change import Slot


class AdmissionSlots:
    """Counts turns given out. Single-threaded: every call is on the event loop."""

    def __init__(self, limits: dict[Slot, int]) -> None:
        self._limits = limits
        self._taken = dict.fromkeys(limits, 0)
        self._waiting: dict[Slot, OrderedDict[object, Callable[[], None]]] = {turn: OrderedDict() for turn in limits}
        self._closed = False

    def __repr__(self) -> str:
        parts = (f"{t}: {self._taken[t]} of {self._limits[t]}, {len(self._waiting[t])} waiting" for t in self._limits)
        return f"<AdmissionSlots {'; '.join(parts)}>"

    @property
    def closed(self) -> bool:
        """Whether no more turns are given, also not to one who holds one."""
        return self._closed

    def taken(self, turn: Slot) -> int:
        """How many hold a turn."""
        return self._taken[turn]

    def try_take(self, turn: Slot) -> bool:
        """Take a turn if there is room and nobody waits."""
        if self._closed or self._waiting[turn] or self._taken[turn] >= self._limits[turn]:
            return False
        self._taken[turn] += 1
        return True

    def wait(self, turn: Slot, who: object, granted: Callable[[], None]) -> None:
        """Queue up; `granted` is called with the turn already taken."""
        self._waiting[turn][who] = granted
        self._serve(turn)

    def leave(self, turn: Slot, who: object) -> None:
        """Stop waiting."""
        self._waiting[turn].pop(who, None)

    def give_back(self, turn: Slot) -> None:
        """Return a turn; the next in line is served."""
        self._taken[turn] -= 1
        self._serve(turn)

    def close(self) -> None:
        """Give no more turns: the process is about to stop."""
        self._closed = True

    def _serve(self, turn: Slot) -> None:
        waiting = self._waiting[turn]
        while waiting and not self._closed and self._taken[turn] < self._limits[turn]:
            _, granted = waiting.popitem(last=False)
            self._taken[turn] += 1
            granted()
