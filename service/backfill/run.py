"""One backfill: fence who was before, read what is in the topics, list, send what is missing, wait for the ends.

listing ─▶ known? ──▶ chunk ─▶ pace and pressure ─▶ transaction ─▶ requests topic
             ▲                                                         │
           state ◀── follower ◀── requests, completions, dead letters ◀┘
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from aiokafka.errors import KafkaError

from service.backfill.backlog import Backlog
from service.backfill.errors import ArchiveUnreadable
from service.backfill.estimate import Assumptions, need, seconds_left
from service.backfill.follower import Follower, Reader
from service.backfill.listing.archive import Archive
from service.backfill.listing.left_out import LeftOut
from service.backfill.listing.selection import Found, Selection
from service.backfill.pace import Pace
from service.backfill.pressure import Limits
from service.backfill.sending.sender import Outgoing, Sender
from service.backfill.state import Known, State
from service.backfill.status import Phase, Plan, Screen, Status
from service.backfill.turn import Turn, pause, until_done
from service.backfill.work import Work
from service.domain.result.cost import estimated_cost
from service.errors import RetryLater
from service.footage.errors import SourceNotAllowed
from service.kafka.connecting.connection import BrokerUnavailable
from service.kafka.writing.producer import ProducerFailed
from service.settings import Settings
from service.words import in_words

_LISTED_AT_ONCE = 500
_LOOK_SECONDS = 0.1
"""Between two looks whether everything that was sent has ended."""
_PATIENCE_SECONDS = 600.0
"""How long brokers may be away before the command gives up."""
_AGAIN_SECONDS = 2.0
"""Between two attempts to reach the brokers."""
_GRACE_SECONDS = 10.0
"""How long a command that is stopped may take to finish what it is sending."""
_NOTICE_SECONDS = 20.0
"""When no request has ended for this long, the command says what holds the service up."""
_WINDOW_SECONDS = 300.0
"""Over which the speed is measured."""

Notices = Callable[[], Awaitable[Collection[str]]]
"""What holds the service up, in words, such as a pause of the operator."""


@dataclass(frozen=True, slots=True)
class Options:
    """How it is carried out. `rate` is how many requests a second; None: as many as the limits let through."""

    rate: float | None = None
    limits: Limits = field(default_factory=Limits)
    assumed: Assumptions = field(default_factory=Assumptions)
    retry_failed: bool = False
    wait: bool = True
    force: bool = False
    """Where there are no transactions: take over from the same backfill, if it is under way."""


class Backfill:
    """Used once. `stop` may be set at any time: what is under way is finished, the rest is left for the next one."""

    def __init__(
        self,
        settings: Settings,
        *,
        archive: Archive,
        selection: Selection,
        work: Work,
        options: Options,
        state: State,
        reader: Reader,
        partitions: int,
        screen: Screen,
        notices: Notices,
    ) -> None:
        self._settings = settings
        self._archive = archive
        self._selection = selection
        self._work = work
        self._options = options
        self._state = state
        self._follower = Follower(reader, state)
        self._backlog = Backlog(settings, reader)
        self._sender = Sender(settings, work.name(archive.name), partitions, force=options.force)
        self._pace = Pace(options.rate)
        self._screen = screen
        self._notices = notices
        self._phase: Phase = "reading"
        self._sent = 0
        self._total = self._total_bytes = 0
        self._counted = False
        self._left_out = LeftOut()
        self._ends: deque[tuple[float, int]] = deque()
        self.stop = asyncio.Event()
        self._turn = Turn(self._pace, options.limits, state, self._backlog, self.stop, self._show)

    async def run(self) -> bool:
        """Send and wait; whether it came to its end, and was not stopped before.

        Raises `Overtaken`, `AlreadyRuns`, `ArchiveUnreadable` and `BrokerUnavailable`. What was sent stays sent.
        """
        try:
            if await self._reach(self._sender.start):
                await self._catch_up()
            if not self.stop.is_set():
                beside = (self._count(), *self._endless())
                await until_done(self._work_through(), beside, self.stop, _GRACE_SECONDS)
        finally:
            await self._sender.close()
        self._phase = "ended"
        self._show()
        return not self.stop.is_set()

    async def plan(self) -> Plan | None:
        """What `run` would send. Nothing is written, and nobody is fenced. Of no use when it was stopped meanwhile."""
        await self._catch_up()
        found: list[Plan] = []

        async def look() -> None:
            found.append(await self._planned())

        if not self.stop.is_set():
            await until_done(look(), (), self.stop, 0.0)
        return found[0] if found else None

    async def _planned(self) -> Plan:
        before = unsent = unsent_bytes = 0
        listed: list[tuple[str, str, int]] = []
        async for found in self._selected(self._left_out):
            request_id = self._work.request_id(found)
            known = self._state.known(request_id)
            self._total += 1
            self._total_bytes += found.size
            before += known is not None
            if self._next_run(known) is not None:
                unsent += 1
                unsent_bytes += found.size
            listed.append((request_id, found.uri, found.size))
            if len(listed) >= _LISTED_AT_ONCE:
                self._state.take_listed(listed)
                listed = []
        self._state.take_listed(listed)
        counts, rate = self._state.counts(), self._options.rate
        return Plan(
            self._total,
            self._total_bytes,
            before,
            unsent,
            unsent_bytes,
            need(unsent, unsent_bytes, counts, self._options.assumed),
            unsent / rate if rate else None,
            self._settings.cost.currency,
            self._left_out,
        )

    def status(self) -> Status:
        """How far it is now. Reads the state of every object."""
        counts = self._state.counts()
        now = time.monotonic()
        self._ends.append((now, self._follower.ended))
        while now - self._ends[0][0] > _WINDOW_SECONDS:
            self._ends.popleft()
        since, before = self._ends[0]
        left, prices = self._total - counts.ended, self._options.assumed.prices
        cost = counts.cost if counts.priced else estimated_cost(prices, counts.minutes, 0)
        return Status(
            self._phase,
            counts,
            self._sent,
            self._total,
            self._total_bytes,
            self._counted,
            self._follower.read,
            cost,
            self._settings.cost.currency,
            need(left, max(0, self._total_bytes - counts.ended_bytes), counts, self._options.assumed)
            if self._counted
            else None,
            seconds_left(
                left, self._follower.ended - before, now - since, max(0, self._total - counts.sent), self._options.rate
            )
            if self._counted
            else None,
            self._turn.reason,
            self._left_out,
        )

    async def _catch_up(self) -> None:
        await until_done(self._follower.catch_up(), (self._show_always(),), self.stop, 0.0)
        now = time.time()
        self._state.forget_before(int((now - self._settings.topics.retention_hours * 3600) * 1000))
        last_ms = self._state.last_sent_ms()
        if last_ms is not None:
            self._pace.resume(time.monotonic() - max(0.0, now - last_ms / 1000))
        if not self.stop.is_set():
            self._phase = "read"
            self._show()

    def _endless(self) -> Sequence[Coroutine[Any, Any, None]]:
        return self._follower.follow(), self._backlog.watch(), self._show_always(), self._tell_always()

    async def _work_through(self) -> None:
        self._phase = "sending"
        await self._send_all()
        self._phase, self._turn.reason = "waiting", None
        while self._options.wait and self._state.waiting() and not self.stop.is_set():
            await pause(self.stop, _LOOK_SECONDS)

    async def _selected(self, left_out: LeftOut) -> AsyncIterator[Found]:
        async for found in self._archive.objects(left_out):
            left_out.seen += 1
            reason = self._selection.reason_against(found)
            if reason is None:
                yield found
            else:
                left_out.add(reason)

    async def _count(self) -> None:
        """Count the archive while it is sent, so that the time left is known. Sending may be the first at its end.

        Without a number nothing is lost: a listing that breaks off here may work when sending comes that far.
        """
        with suppress(ArchiveUnreadable):
            async for found in self._selected(LeftOut()):
                if self._counted:
                    return
                self._total += 1
                self._total_bytes += found.size
            self._counted = True

    async def _send_all(self) -> None:
        listed: list[tuple[str, str, int]] = []
        chunk: dict[str, Outgoing] = {}
        refused: list[str] = []
        seen = seen_bytes = 0
        async for found in self._selected(self._left_out):
            seen, seen_bytes = seen + 1, seen_bytes + found.size
            request_id = self._work.request_id(found)
            listed.append((request_id, found.uri, found.size))
            run = self._next_run(self._state.known(request_id))
            if run is not None:
                try:
                    chunk[request_id] = Outgoing(request_id, run, found.uri, self._work.value(found, run))
                except SourceNotAllowed:
                    refused.append(request_id)
            if len(chunk) >= self._turn.at_once or len(listed) >= _LISTED_AT_ONCE:
                await self._flush(listed, chunk, refused)
            if self.stop.is_set():
                return
        await self._flush(listed, chunk, refused)
        self._total, self._total_bytes, self._counted = seen, seen_bytes, True

    def _next_run(self, known: Known | None) -> int | None:
        """With which run the request is sent; None: it is not."""
        if known is None:
            return 1
        return known.run + 1 if self._options.retry_failed and known.failed else None

    async def _flush(self, listed: list[tuple[str, str, int]], chunk: dict[str, Outgoing], refused: list[str]) -> None:
        self._state.take_listed(listed)
        for request_id in refused:
            self._state.refuse(request_id, "source_not_allowed")
        if chunk and await self._turn.wait(len(chunk)):
            await self._deliver(list(chunk.values()))
        listed.clear()
        chunk.clear()
        refused.clear()

    async def _deliver(self, chunk: Sequence[Outgoing]) -> None:
        began = time.monotonic()
        try:
            sent = await self._sender.send(chunk)
        except ProducerFailed:
            self._turn.lost(len(chunk), began)
            if await self._reach(self._start_again):
                missing = [one for one in chunk if not self._is_sent(one)]
                if missing and await self._turn.wait(len(missing)):
                    await self._deliver(missing)
            return
        self._turn.sent(len(sent), began)
        self._state.sent(sent)
        self._sent += len(sent)

    def _is_sent(self, one: Outgoing) -> bool:
        known = self._state.known(one.request_id)
        return known is not None and known.run >= one.run

    async def _start_again(self) -> None:
        await self._sender.start()
        try:
            await self._follower.catch_up()
        except (RetryLater, KafkaError, TimeoutError) as error:
            raise ProducerFailed("read", in_words(error), unreachable=True) from None

    async def _reach(self, attempt: Callable[[], Awaitable[None]]) -> bool:
        """Try until brokers answer; False when it was stopped before. Raises `BrokerUnavailable` after some minutes."""
        end = time.monotonic() + (_PATIENCE_SECONDS if self._phase == "sending" else 0.0)
        while not self.stop.is_set():
            try:
                await attempt()
                return True
            except ProducerFailed as error:
                if time.monotonic() >= end or not error.unreachable:
                    raise BrokerUnavailable(f"Kafka does not take requests: {error}", _GO_ON) from None
                self._turn.reason = f"Kafka does not take requests ({error}); trying again"
            await pause(self.stop, _AGAIN_SECONDS)
        return False

    def _show(self) -> float:
        began = time.monotonic()
        self._screen.show(self.status())
        return time.monotonic() - began

    async def _show_always(self) -> None:
        while True:
            took = self._show()
            await asyncio.sleep(max(self._screen.every_seconds, 20 * took))

    async def _tell_always(self) -> None:
        """Where nothing ends for a while, say what holds the service up; each thing once."""
        told: set[str] = set()
        before = -1
        while True:
            await asyncio.sleep(_NOTICE_SECONDS)
            waiting = self._state.waiting()
            if waiting and waiting == before:
                with suppress(RetryLater):
                    for text in set(await self._notices()) - told:
                        told.add(text)
                        self._screen.note(text)
            before = waiting


_GO_ON = "nothing is lost: the same command goes on where this one has stopped"
