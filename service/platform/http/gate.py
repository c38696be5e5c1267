"""One gate for each category of calls: a 429 closes it, and no later call is sent until it opens."""

from __future__ import annotations

import asyncio

from service.clock import Clock
from service.platform.errors import Category, RateLimited
from service.telemetry.metrics import Metrics

DEFAULT_WAIT_SECONDS = 2.0
MAX_DEFAULT_WAIT_SECONDS = 60.0
LONGEST_STAY_SECONDS = 3.0
"""How long a call stays at a closed gate. Its caller may hold a slot meanwhile, and does not hear that its job is to
end: so a longer wait is the caller's."""


class Gate:
    """Open, or closed until a moment. A wait that the platform names is kept.

    Where it names none, we wait 2 s. Each refusal of a call that was sent after the gate had opened again doubles
    that, up to 60 s; a success sets it back to 2 s. Calls that were under way together count as one refusal.
    """

    def __init__(self, category: Category, metrics: Metrics, clock: Clock) -> None:
        self.category = category
        self._clock = clock
        self._gauge = metrics.platform_paused.labels(category)
        self._gauge.set(0)
        self._closed = False
        self._closed_at = float("-inf")
        self._opens_at = float("-inf")
        self._default_seconds = DEFAULT_WAIT_SECONDS

    def __repr__(self) -> str:
        left = self.left()
        return f"<Gate {self.category}: {f'closed for {left:.1f} s' if left else 'open'}>"

    def left(self) -> float:
        """Seconds until it opens; 0 when it is open."""
        left = self._opens_at - self._clock.monotonic()
        return left if left > 0 else 0.0

    async def passed(self) -> None:
        """Wait until the gate is open, if that is soon; else raise `RateLimited` with the seconds that are left."""
        if not self._closed:
            return
        last = self._clock.monotonic() + LONGEST_STAY_SECONDS
        while (left := self.left()) > 0:
            if self._clock.monotonic() + left > last:
                words = f"the platform takes no calls of this kind ({self.category}) for {left:.0f} s"
                raise RateLimited(words, retry_after_seconds=left)
            await asyncio.sleep(left)
        self._closed = False
        self._gauge.set(0)

    def close(self, asked_seconds: float | None, sent_at: float) -> float:
        """A call sent at `sent_at` (monotonic) was refused: close, and return the seconds to wait."""
        now = self._clock.monotonic()
        if asked_seconds is None:
            if sent_at < self._closed_at:
                return self.left()
            asked_seconds = self._default_seconds
            self._default_seconds = min(self._default_seconds * 2, MAX_DEFAULT_WAIT_SECONDS)
        self._closed = True
        self._closed_at = now
        self._opens_at = max(self._opens_at, now + asked_seconds)
        self._gauge.set(1)
        return asked_seconds

    def succeeded(self) -> None:
        """The platform took a call."""
        self._default_seconds = DEFAULT_WAIT_SECONDS
