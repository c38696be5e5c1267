"""A limited number of streams and synchronous calls, and of task creations, at once; given in the order of turns."""

from __future__ import annotations

from collections.abc import Callable, Hashable

from service.domain.change import Slot
from service.domain.shares.turns import Line, Turns
from service.engine.turns.quota import Quota


class AdmissionSlots:
    """Counts the slots that are taken. One per process; every call is on the event loop."""

    def __init__(
        self,
        limits: dict[Slot, int],
        quota: Quota | None = None,
        holds: Callable[[Hashable, Line], bool] = lambda _who, _line: False,
    ) -> None:
        """A slot is given with one call of `quota`, and not while `holds` says that this one is paused."""
        self._holds = holds
        self._limits = limits
        self._quota = quota
        if quota is not None and quota.limited:
            quota.on_grant = self._serve_all
        self._taken = dict.fromkeys(limits, 0)
        self._turns: dict[Slot, Turns[Hashable]] = {slot: Turns() for slot in limits}
        self._held: dict[Slot, dict[Hashable, Line]] = {slot: {} for slot in limits}
        self._granted: dict[Slot, dict[Hashable, Callable[[], None]]] = {slot: {} for slot in limits}
        self._closed = False
        self._paused = False

    def __repr__(self) -> str:
        parts = (f"{s}: {self._taken[s]} of {self._limits[s]}, {len(self._turns[s])} waiting" for s in self._limits)
        return f"<AdmissionSlots {'; '.join(parts)}>"

    @property
    def closed(self) -> bool:
        """Whether no slots are given: the process is about to stop, or to lose partitions."""
        return self._closed or self._paused

    @property
    def paused(self) -> bool:
        """Whether no slots are given until `resume`."""
        return self._paused

    def taken(self, slot: Slot) -> int:
        """How many hold a slot of this kind."""
        return self._taken[slot]

    def try_take(self, slot: Slot) -> bool:
        """Take a slot, with a call of the quota, if one is free and nobody waits for it."""
        if self.closed or len(self._turns[slot]) or self._taken[slot] >= self._limits[slot]:
            return False
        if self._quota is not None and not self._quota.take():
            return False
        self._taken[slot] += 1
        return True

    def wait(self, slot: Slot, who: Hashable, line: Line, granted: Callable[[], None]) -> None:
        """Wait for a turn. `granted` is called once, perhaps at once, with the slot already taken."""
        self._granted[slot][who] = granted
        if self._holds(who, line):
            self._held[slot][who] = line
            return
        self._turns[slot].add(who, line)
        self._serve(slot)

    def lacks_quota(self, slot: Slot) -> bool:
        """Whether a slot of this kind is free, so that whoever waits does so for the quota."""
        limited = self._quota is not None and self._quota.limited
        return limited and not self.closed and self._taken[slot] < self._limits[slot]

    def sort_again(self) -> list[Hashable]:
        """Other work than before is paused. Returns those that wait for the end of a pause from now on."""
        begin: list[Hashable] = []
        for slot, held in self._held.items():
            turns = self._turns[slot]
            for who, line in turns.waiting():
                if self._holds(who, line):
                    turns.remove(who)
                    held[who] = line
                    begin.append(who)
            for who, line in list(held.items()):
                if not self._holds(who, line):
                    del held[who]
                    turns.add(who, line)
        self._serve_all()
        return begin

    def leave(self, slot: Slot, who: Hashable) -> None:
        """Stop waiting."""
        self._turns[slot].remove(who)
        self._held[slot].pop(who, None)
        self._granted[slot].pop(who, None)

    def give_back(self, slot: Slot) -> None:
        """Return a slot; the one whose turn it is gets it."""
        self._taken[slot] -= 1
        self._serve(slot)

    def close(self) -> None:
        """Give no more slots."""
        self._closed = True

    def pause(self) -> None:
        """Give no slots for now: what is claimed now could not begin, and might be another process's in a moment."""
        self._paused = True

    def resume(self) -> None:
        """Give slots again, to those who wait first."""
        self._paused = False
        self._serve_all()

    def _serve_all(self) -> None:
        for slot in self._turns:
            self._serve(slot)

    def _serve(self, slot: Slot) -> None:
        turns, waiting = self._turns[slot], self._granted[slot]
        while len(turns) and not self.closed and self._taken[slot] < self._limits[slot]:
            if self._quota is not None and not self._quota.take(len(turns)):
                return  # called again when there is a grant
            who = turns.next()
            self._taken[slot] += 1
            waiting.pop(who)()
