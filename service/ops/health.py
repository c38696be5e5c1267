"""The health of the process as conditions that its parts set, each with what is wrong and since when."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from service.clock import Clock, SystemClock, rfc3339
from service.telemetry.metrics import Metrics


@dataclass(frozen=True, slots=True)
class Condition:
    """One thing that may be wrong. `since` is when `ok` last changed, in seconds since the epoch."""

    ok: bool
    detail: str
    since: float
    blocking: bool

    def as_json(self) -> dict[str, object]:
        """How it is shown in the bodies of the health endpoints."""
        return {"ok": self.ok, "detail": self.detail, "since": rfc3339(self.since), "blocking": self.blocking}


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer of one endpoint: fine or not, and why."""

    ok: bool
    body: dict[str, object]


class Health:
    """Set by every part of the process, read by the HTTP server. Reading does no work and never blocks.

    Ready: the process has started, it is not stopping, and every blocking condition is fine. Live: the event loop is
    at most `stuck_seconds` behind; a process that is not live should be restarted.
    """

    def __init__(self, clock: Clock | None = None, *, stuck_seconds: float = 30) -> None:
        self._clock = clock or SystemClock()
        self._stuck_seconds = stuck_seconds
        self._born = self._clock.time()
        self._started_at: float | None = None
        self._stopping_at: float | None = None
        self._beat_at: float | None = None
        self._lag = 0.0
        self._conditions: dict[str, Condition] = {}

    def set(self, name: str, ok: bool, detail: str = "", *, blocking: bool = True) -> None:
        """Set a condition. `detail` says what is wrong, or what is fine, to an operator.

        A condition that is not `blocking` is shown, and changes nothing else.
        """
        known = self._conditions.get(name)
        since = known.since if known is not None and known.ok == ok else self._clock.time()
        self._conditions[name] = Condition(ok, detail, since, blocking)

    def started(self) -> None:
        """Every part has started once; the process may be called ready when its conditions are fine."""
        if self._started_at is None:
            self._started_at = self._clock.time()

    def stopping(self) -> None:
        """The drain has begun: the process is never ready again."""
        self._stopping_at = self._clock.time()

    def beat(self, lag_seconds: float) -> None:
        """The event loop has run its timer, that late. Called by `heartbeat`."""
        self._beat_at = self._clock.monotonic()
        self._lag = lag_seconds

    def live(self) -> Verdict:
        """Whether the process is worth keeping."""
        silent = 0.0 if self._beat_at is None else self._clock.monotonic() - self._beat_at
        behind = max(self._lag, silent)
        if behind > self._stuck_seconds:
            detail = f"the event loop is {behind:.1f} s behind"
            return Verdict(ok=False, body={"status": "failing", "detail": detail})
        return Verdict(ok=True, body={"status": "ok"})

    def startup(self) -> Verdict:
        """Whether the start is over."""
        if self._started_at is not None:
            return Verdict(ok=True, body={"status": "ok", "since": rfc3339(self._started_at)})
        return Verdict(ok=False, body={"status": "starting", "since": rfc3339(self._born), "conditions": self._shown()})

    def ready(self) -> Verdict:
        """Whether the process does its work."""
        wrong = [name for name, condition in self._conditions.items() if condition.blocking and not condition.ok]
        if self._stopping_at is not None:
            status, since = "stopping", self._stopping_at
        elif self._started_at is None:
            status, since = "starting", self._born
        elif wrong:
            status, since = "failing", min(self._conditions[name].since for name in wrong)
        else:
            fixed = (condition.since for condition in self._conditions.values() if condition.blocking)
            status, since = "ok", max([self._started_at, *fixed])
        body: dict[str, object] = {
            "status": status,
            "since": rfc3339(since),
            "wrong": wrong,
            "conditions": self._shown(),
        }
        return Verdict(ok=status == "ok", body=body)

    def _shown(self) -> dict[str, object]:
        return {name: condition.as_json() for name, condition in sorted(self._conditions.items())}

    def __repr__(self) -> str:
        verdict = self.ready().body
        wrong = ", ".join(f"{name}: {self._conditions[name].detail}" for name in sorted(self._conditions)
                          if not self._conditions[name].ok)  # fmt: skip
        return f"<Health {verdict['status']}{' (' + wrong + ')' if wrong else ''}>"


async def heartbeat(
    health: Health, metrics: Metrics, clock: Clock | None = None, *, every_seconds: float = 0.5
) -> None:
    """Measure how late the event loop runs its timers, for ever. Cancel it to stop."""
    clock = clock or SystemClock()
    while True:
        before = clock.monotonic()
        await asyncio.sleep(every_seconds)
        lag = max(0.0, clock.monotonic() - before - every_seconds)
        metrics.loop_lag_seconds.set(lag)
        health.beat(lag)
