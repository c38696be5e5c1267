"""Which webhooks have been taken: a retry of one is answered and not passed on, a copy of one is refused.

The platform signs each retry anew, under the same event id. So the same signature twice is somebody's copy.
"""

from __future__ import annotations

from typing import Literal

_SIGNATURE_SECONDS = 900.0  # longer than a signature can be valid
_EVENT_SECONDS = 86_400.0
_MOST = 20_000

Verdict = Literal["new", "duplicate", "replayed"]


class Deliveries:
    """One per process, bounded. Times are seconds of a clock that never goes back."""

    def __init__(self) -> None:
        self._signatures: dict[str, float] = {}
        self._events: dict[str, float] = {}

    def judge(self, event_id: str, digest: str, now: float) -> Verdict:
        """What this webhook is, by those that have been taken."""
        _expire(self._signatures, now)
        _expire(self._events, now)
        if digest in self._signatures:
            return "replayed"
        return "duplicate" if event_id in self._events else "new"

    def taken(self, event_id: str, digest: str, now: float) -> None:
        """It was accepted: not before, because one that could not be passed on is sent again."""
        self._signatures[digest] = now + _SIGNATURE_SECONDS
        self._events.setdefault(event_id, now + _EVENT_SECONDS)


def _expire(held: dict[str, float], now: float) -> None:
    while held:
        name, until = next(iter(held.items()))
        if until > now and len(held) <= _MOST:
            return
        del held[name]
