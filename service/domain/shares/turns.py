"""Whose turn is next: by priority, and within one priority fairly between those for whom the work is.

Priorities share the turns by weight while several of them wait (stride scheduling: each turn costs a priority the
inverse of its weight, the one that has spent least is next). Within a priority every flow that waits gets one turn
after the other: a flow is a tenant, or a record key where there is no tenant. This is deficit round robin with turns
that all cost the same. So a flood of one camera delays another's request by a turn, not by its own length.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Final, Generic, Literal, NamedTuple, TypeVar

Priority = Literal["high", "normal", "low"]
PRIORITIES: Final[tuple[Priority, ...]] = ("high", "normal", "low")
WEIGHTS: Final[dict[Priority, int]] = {"high": 16, "normal": 4, "low": 1}
LOW_EVERY: Final = 10
"""While `low` waits, at least one of this many turns is its own, however much of the others there is."""

W = TypeVar("W", bound=Hashable)


class Line(NamedTuple):
    """Where one waits: the priority, and a number for the tenant or the record key. Local to the process."""

    priority: Priority
    flow: int


def line_of(priority: Priority, tenant: str | None, key: bytes | None) -> Line:
    """The line of a request. Requests with neither tenant nor key are one flow together."""
    return Line(priority, hash(("tenant", tenant)) if tenant is not None else hash(("key", key)))


class _Flows(Generic[W]):
    """Those who wait with one priority."""

    def __init__(self) -> None:
        self.spent = 0.0
        self._flows: OrderedDict[int, OrderedDict[W, None]] = OrderedDict()

    def __bool__(self) -> bool:
        return bool(self._flows)

    def add(self, flow: int, who: W) -> None:
        self._flows.setdefault(flow, OrderedDict())[who] = None

    def remove(self, flow: int, who: W) -> None:
        waiting = self._flows[flow]
        del waiting[who]
        if not waiting:
            del self._flows[flow]

    def next(self) -> W:
        """The first of the flow whose turn it is; the flow goes to the end."""
        flow, waiting = next(iter(self._flows.items()))
        who, _ = waiting.popitem(last=False)
        if waiting:
            self._flows.move_to_end(flow)
        else:
            del self._flows[flow]
        return who


class Turns(Generic[W]):
    """Those who wait for a turn, and who is next. Every operation takes constant time."""

    def __init__(self) -> None:
        self._lines: dict[W, Line] = {}
        self._flows: dict[Priority, _Flows[W]] = {priority: _Flows() for priority in PRIORITIES}
        self._spent = 0.0  # what the priority of the last turn had spent before it
        self._without_low = 0  # turns of others since `low` waits

    def __repr__(self) -> str:
        return f"<Turns {len(self._lines)} waiting>"

    def __len__(self) -> int:
        return len(self._lines)

    def add(self, who: W, line: Line) -> None:
        """Wait behind the others of the same flow. One who waits already goes to the end of the new line."""
        self.remove(who)
        flows = self._flows[line.priority]
        if not flows:
            # Time in which nobody of this priority waited earns nothing.
            flows.spent = max(flows.spent, self._spent)
        self._lines[who] = line
        flows.add(line.flow, who)

    def remove(self, who: W) -> None:
        """Wait no longer. Nothing happens for one who does not wait."""
        line = self._lines.pop(who, None)
        if line is not None:
            self._flows[line.priority].remove(line.flow, who)

    def waiting(self) -> list[tuple[W, Line]]:
        """All who wait, in the order in which they came."""
        return list(self._lines.items())

    def next(self) -> W | None:
        """Take the one whose turn it is out of the line. None when nobody waits."""
        priority = self._priority()
        if priority is None:
            return None
        flows = self._flows[priority]
        low_is_due = priority == "low" and self._without_low >= LOW_EVERY - 1
        if not low_is_due:
            self._spent = max(self._spent, flows.spent)
        # A turn that `low` gets beyond its weight is not held against it for longer than one turn.
        flows.spent = min(flows.spent, self._spent) + 1 / WEIGHTS[priority]
        self._without_low = self._without_low + 1 if priority != "low" and self._flows["low"] else 0
        who = flows.next()
        del self._lines[who]
        return who

    def _priority(self) -> Priority | None:
        waiting = [priority for priority in PRIORITIES if self._flows[priority]]
        if "low" in waiting and self._without_low >= LOW_EVERY - 1:
            return "low"
        return min(waiting, key=lambda priority: self._flows[priority].spent, default=None)
