"""The quota of the account in this process: who waits is asked for, and each grant goes to whose turn it is then.

Nothing here costs anything while no quota is set: a call passes at once, and the ledger is not even opened.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from math import ceil
from typing import TYPE_CHECKING

from service.clock import Clock
from service.domain.change import Event
from service.domain.endings import NOTHING_BILLED
from service.domain.shares.turns import Line, Turns
from service.engine.turns.amounts import AmountQuota
from service.engine.turns.asking import NOTHING, Asking
from service.kafka.ledger_port import Grant, Ledger, QuotaCategory, Taken
from service.telemetry.metrics import Metrics

if TYPE_CHECKING:
    from service.settings import QuotaSettings

_CLAIM_SECONDS = 0.3
"""How much later than its grant was taken a call may come: its claim is made durable first."""
GOOD_SECONDS = 30.0
"""How long a grant of an amount may be held before it is used: the window of an hour has a minute more."""
# A longer wait is no limit of minutes, or of an hour: a quota of the day is gone.
_LONG_SECONDS = 300.0
_LONG_OF_HOUR_SECONDS = 3_700.0
_GRANTS_A_MINUTE = 600
"""Above this many calls a minute, several are asked for at once."""


class Quota:
    """The grants of one category: calls, each of which takes one. Without a limit or a ledger, as many as one wants."""

    def __init__(
        self, category: QuotaCategory, settings: QuotaSettings, ledger: Ledger | None, clock: Clock, metrics: Metrics
    ) -> None:
        per_minute, _ = limits = settings.of(category)
        self._ledger = ledger if any(limits) else None
        self._granted_total = metrics.quota_granted.labels(category)
        gauge = metrics.quota_wait_seconds.labels(category)
        self.asking = None
        if self._ledger is not None:
            self.asking = Asking(category, settings, self._ledger, clock, gauge, self._opened)
        self.category: QuotaCategory = category
        self._most = max(1, (per_minute or _GRANTS_A_MINUTE) // _GRANTS_A_MINUTE)
        self._clock = clock
        self._turns: Turns[asyncio.Future[None]] = Turns()
        self._grants = 0
        self._grant = NOTHING
        self.on_grant: Callable[[], None] = lambda: None
        """Called when there is a grant: take it, or leave it to those who `wait`."""

    def __repr__(self) -> str:
        if self._ledger is None:
            return f"<Quota {self.category}: unlimited>"
        return f"<Quota {self.category}: {self._grants} granted, {len(self._turns)} waiting, {self.left():.1f} s>"

    @property
    def limited(self) -> bool:
        """Whether calls have to be asked for."""
        return self._ledger is not None

    def left(self) -> float:
        """Seconds until the next grant, as far as it is known; 0 when nobody waits for one."""
        return 0.0 if self.asking is None else self.asking.left()

    @property
    def good_until(self) -> float:
        """Until when (monotonic seconds) a call may be begun for the grant that was taken last."""
        return self._grant.good_until + _CLAIM_SECONDS

    def take(self, waiting: int = 1) -> bool:
        """Take one grant, if there is one. Else ask for some: `waiting` are wanted, `on_grant` says when."""
        if self._ledger is None:
            return True
        if self._grants and self._clock.monotonic() <= self._grant.good_until:
            self._grants -= 1
            self._granted_total.inc()
            return True
        self._ask(waiting + len(self._turns))
        return False

    async def wait(self, line: Line) -> None:
        """Wait for a grant, and take it. At once when there is no quota."""
        if not len(self._turns) and self.take():
            return
        granted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._turns.add(granted, line)
        self._ask(len(self._turns))
        try:
            await granted
        except asyncio.CancelledError:
            self._turns.remove(granted)
            raise

    def give_back(self) -> None:
        """A call that was just taken is not made now: another may be made instead, by whatever process."""
        if self._ledger is not None:
            self._ledger.give_back(self.category, self._grant.granted_ms, 1)

    def _ask(self, waiting: int) -> None:
        if self.asking is not None:
            self.asking.ask(max(1, min(waiting, self._most)))

    def _opened(self, grant: Grant, count: int) -> None:
        self._grant, self._grants = grant, count
        self.on_grant()
        while len(self._turns) and self.take(0):
            granted = self._turns.next()
            if granted is not None and not granted.done():
                granted.set_result(None)


class Quotas:
    """The quota of each category: of analyses, of uploads, and of what an analysis needs."""

    def __init__(self, settings: QuotaSettings, ledger: Ledger | None, clock: Clock, metrics: Metrics) -> None:
        self.analyze = Quota("analyze", settings, ledger, clock, metrics)
        self.upload = Quota("upload", settings, ledger, clock, metrics)
        self.video = AmountQuota("video_seconds", settings, ledger, clock, metrics)
        self.tokens = AmountQuota("output_tokens", settings, ledger, clock, metrics)
        self._clock = clock
        if ledger is not None:
            ledger.on_given_back = self._given_back

    @property
    def amounts_limited(self) -> bool:
        """Whether an analysis has to ask for what it needs."""
        return self.video.limited or self.tokens.limited

    def used_up(self) -> str | None:
        """The category that is used up for too long to take on new requests; None if there is none."""
        for one, long_seconds in (
            (self.analyze, _LONG_SECONDS),
            (self.upload, _LONG_SECONDS),
            (self.tokens, _LONG_SECONDS),
            (self.video, _LONG_OF_HOUR_SECONDS),
        ):
            if one.left() > long_seconds:
                return one.category
        return None

    def _given_back(self, category: str, granted_ms: int) -> None:
        for one in (self.analyze, self.upload, self.video, self.tokens):
            if one.category == category and one.asking is not None:
                one.asking.given_back(granted_ms)

    async def take_amounts(self, line: Line, seconds: int, tokens: int) -> tuple[Taken, ...]:
        """Wait until `seconds` of video may be analysed, and `tokens` generated."""
        while True:
            video = await self.video.take(seconds, line)
            since = self._clock.monotonic()
            generated: Taken | None = None
            try:
                generated = await self.tokens.take(tokens, line)
            finally:
                late = self._clock.monotonic() - since > GOOD_SECONDS
                if video is not None and (late or (generated is None and self.tokens.limited and tokens > 0)):
                    self.give_back((video,))
            if video is None or not late:
                return tuple(one for one in (video, generated) if one is not None)
            if generated is not None:
                self.give_back((generated,))

    def give_back(self, taken: Sequence[Taken]) -> None:
        """Nothing of this was used."""
        for one in taken:
            (self.video if one.category == "video_seconds" else self.tokens).give_back(one)

    def ended(self, taken: Sequence[Taken], completion: Event) -> None:
        """A job has ended: what its last attempt did not use is given back, as far as that is known."""
        if not taken:
            return
        usage, error = completion.members.get("usage"), completion.members.get("error")
        if error is not None and error["code"] in NOTHING_BILLED:
            self.give_back(taken)
        for one in taken:
            used = None if usage is None else usage[one.category]
            if used is not None:
                (self.video if one.category == "video_seconds" else self.tokens).give_back(one, ceil(used))
