"""What is paused in this process just now: asked before anything is paid for, and told when it changes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection

import structlog

from contracts.instants import rfc3339
from service.clock import Clock
from service.domain.shares.pauses import Pause, next_end_ms
from service.domain.shares.turns import Line
from service.telemetry.events import LogEvent
from service.telemetry.metrics import Metrics

log = structlog.get_logger()

_AT_ONCE = 50
_LONGEST_SECONDS = 3600.0
"""The clock is looked at again after at most this time: somebody may have set it."""


class PauseGate:
    """One per process. `set` is called with what the ledger says; pauses with an end, end here by themselves."""

    def __init__(self, clock: Clock, metrics: Metrics) -> None:
        self._clock = clock
        self._gauge = metrics.paused
        for what in ("work", "intake"):
            self._gauge.labels(what).set(0)
        self._known: Collection[Pause] = ()
        self._timer: asyncio.TimerHandle | None = None
        self._waiting: dict[asyncio.Event, Line] = {}
        self.now: tuple[Pause, ...] = ()
        """The pauses in force."""
        self.intake = False
        """Whether no requests are taken on."""
        self.on_change: Callable[[], None] = lambda: None
        """Called when other work than before is paused."""

    def __repr__(self) -> str:
        return f"<PauseGate {', '.join(self.told()) or 'nothing is paused'}; {len(self._waiting)} waiting>"

    def holds(self, line: Line) -> bool:
        """Whether the work of jobs in this line is paused: nothing of it is begun, what runs is let end."""
        return any(pause.scope.holds(line) for pause in self.now)

    def told(self) -> list[str]:
        """Each pause in words, for people."""
        return [_told(pause) for pause in self.now]

    def set(self, pauses: Collection[Pause]) -> None:
        """These pauses were asked for, and not resumed."""
        self._known = pauses
        self._look()

    async def wait(self, line: Line, wake: asyncio.Event) -> None:
        """Wait until this line is not paused, or `wake` is set by somebody else."""
        if self.holds(line):
            self._waiting[wake] = line
            try:
                await wake.wait()
            finally:
                self._waiting.pop(wake, None)

    def close(self) -> None:
        """Let no pause end by itself any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        now_ms = int(self._clock.time() * 1000)
        before, self.now = self.now, tuple(pause for pause in self._known if pause.holds_at(now_ms))
        self._await_end(now_ms)
        if self.now == before:
            return
        self.intake = any(pause.scope.intake for pause in self.now)
        for what in ("work", "intake"):
            self._gauge.labels(what).set(sum(pause.scope.intake is (what == "intake") for pause in self.now))
        for pause in self.now:
            if pause not in before:
                until = None if pause.until_ms is None else rfc3339(pause.until_ms / 1000)
                log.warning(LogEvent.PAUSED, what=str(pause.scope), until=until)
        held = {pause.scope for pause in self.now}
        for pause in before:
            if pause.scope not in held:
                log.info(LogEvent.RESUMED, what=str(pause.scope))
        self._wake()
        self.on_change()

    def _wake(self) -> None:
        """Wake those that are not paused any more, some at a time: thousands may wait."""
        woken = [wake for wake, line in self._waiting.items() if not self.holds(line)]
        for wake in woken[:_AT_ONCE]:
            del self._waiting[wake]
            wake.set()
        if len(woken) > _AT_ONCE:
            asyncio.get_running_loop().call_soon(self._wake)

    def _await_end(self, now_ms: int) -> None:
        self.close()
        end_ms = next_end_ms(self.now)
        if end_ms is not None:
            seconds = min((end_ms - now_ms) / 1000, _LONGEST_SECONDS)
            self._timer = asyncio.get_running_loop().call_later(seconds, self._look)


def _told(pause: Pause) -> str:
    until = "" if pause.until_ms is None else f" until {rfc3339(pause.until_ms / 1000)}"
    return f"{pause.scope} since {rfc3339(pause.since_ms / 1000)}{until}"
