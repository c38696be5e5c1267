"""Whether the platform's webhooks can be relied on just now.

A webhook is a hint: the task is looked at, and what that shows counts. What can be learnt from it is whether the next
look may come late. An end counts as announced when its webhook came before a look found it, or shortly after.
"""

from __future__ import annotations

from collections import deque

_REMEMBERED = 20
_ENOUGH = 5
"""Ends in a row that must have been announced before looks become rare."""
_MOST_MISSED = 1
"""Of the last ends. A second one that nobody announced brings the looks back."""
_GRACE_SECONDS = 30.0
"""A webhook that comes at most this late counts: its task had been looked at just before."""
_SILENCE_SECONDS = 900.0
"""When the last webhook is older, nothing is known of the next. With tasks that take longer, looks cost little."""
_MOST_AWAITED = 10_000


class HookTrust:
    """One per process. Times are seconds of a clock that never goes back."""

    def __init__(self) -> None:
        self._ends: deque[bool] = deque(maxlen=_REMEMBERED)
        self._awaited: dict[str, float] = {}  # ends that were found without a webhook, until when one may still come
        self._heard = float("-inf")
        self._trusted = False

    def heard(self, task_id: str, now: float) -> None:
        """A webhook of a task has come."""
        self._heard = now
        self._settle(now)
        if self._awaited.pop(task_id, None) is not None:
            self._count(announced=True)

    def ended(self, task_id: str, now: float, *, announced: bool) -> None:
        """A look has found a task ended; `announced`: its webhook had come before."""
        self._settle(now)
        if announced:
            self._count(announced=True)
        elif len(self._awaited) < _MOST_AWAITED:
            self._awaited[task_id] = now + _GRACE_SECONDS

    def reliable(self, now: float) -> bool:
        """Whether ends are announced, so that looks may be rare."""
        self._settle(now)
        return self._trusted and now - self._heard < _SILENCE_SECONDS

    def _settle(self, now: float) -> None:
        """What was awaited for long enough was not announced."""
        while self._awaited:
            task_id, until = next(iter(self._awaited.items()))
            if until > now:
                return
            del self._awaited[task_id]
            self._count(announced=False)

    def _count(self, *, announced: bool) -> None:
        self._ends.append(announced)
        if self._ends.count(False) > _MOST_MISSED:
            self._trusted = False
            self._ends.clear()  # it must be earned anew
        elif len(self._ends) >= _ENOUGH and all(list(self._ends)[-_ENOUGH:]):
            self._trusted = True
