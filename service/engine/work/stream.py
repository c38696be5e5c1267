"""A claimed streaming analysis: every network read becomes one fragment, sent on the moment it is there."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from service.domain.facts import AnalysisEnded, AnalysisFailed, AttemptCut, Failure, FailureKind, Outcome, StreamOpened
from service.engine.work.analysis import analysis_call
from service.engine.work.call_retry import CallRetry, lease_held
from service.engine.work.failures import COST_NOTHING, failure_of
from service.failpoints import Point, failpoint
from service.kafka.ports import LeaseLost, LiveSender, RecordPosition, RecordTooLarge
from service.platform.errors import PlatformError
from service.platform.values import StreamEnded, StreamStarted, StreamText

if TYPE_CHECKING:
    from contracts.fragments import FragmentEncoder
    from service.engine.context import Context
    from service.engine.live_job import LiveJob


class Unfit(Exception):
    """A fragment fits no record; another attempt may bring smaller ones, but not for ever."""


class Undelivered(Exception):
    """Kafka did not take a fragment."""


async def run_stream(live: LiveJob, context: Context) -> None:
    """Stream the attempt to its end; repeated within the attempt only while it certainly cost nothing."""
    patience = CallRetry(live, context, "analysis")
    while True:
        await lease_held(context)
        await context.sender.ready()
        try:
            with context.metrics.streams.track_inprogress():
                outcome = await _stream(live, context)
        except COST_NOTHING as error:
            await patience.wait(error)
        except PlatformError as error:
            live.report(AnalysisFailed(failure_of(error)))
            return
        except Unfit as error:
            live.report(AnalysisFailed(Failure(FailureKind.BROKEN, str(error))))
            return
        except Undelivered as error:
            live.report(AnalysisFailed(Failure(FailureKind.UNDELIVERED, str(error))))
            return
        except LeaseLost:
            await lease_held(context)
            live.report(AttemptCut())
            return
        else:
            live.report(AnalysisEnded(outcome))
            return


async def _stream(live: LiveJob, context: Context) -> Outcome:
    job, clock = live.job, context.clock
    call = analysis_call(job, live.request)
    fragments: Fragments | None = None
    ended: StreamEnded | None = None
    async with context.platform.stream(call) as reads:
        async for events in reads:
            for event in events:
                if isinstance(event, StreamText):
                    if fragments is None:
                        fragments = Fragments(live, context, None)
                    await fragments.send(event.text, clock.time())
                elif isinstance(event, StreamStarted):
                    fragments = Fragments(live, context, event.generation_id)
                    live.report(StreamOpened(event.generation_id))
                else:
                    ended = event
    fragments = fragments or Fragments(live, context, None)
    await fragments.delivered()
    if ended is None:
        raise AssertionError("a stream without its end is the client's error to raise")
    return Outcome(
        text="".join(fragments.texts),
        finish_reason=ended.finish_reason,
        generation_id=ended.generation_id or fragments.generation_id,
        output_tokens=ended.output_tokens,
        input_tokens=ended.input_tokens,
        warning_code=ended.warning_code,
        warning_message=ended.warning_message,
        fragments=len(fragments.texts),
        first_fragment_ms=fragments.first_ms,
    )


class Fragments:
    """The fragments of one attempt on their way to Kafka."""

    def __init__(self, live: LiveJob, context: Context, generation_id: str | None) -> None:
        self.generation_id = generation_id
        self.texts: list[str] = []
        self.first_ms: int | None = None
        self._job = live.job
        self._records = context.records
        self._encoder: FragmentEncoder = context.records.fragments(live.job, generation_id)
        self._sender: LiveSender = context.sender
        self._under_way: deque[asyncio.Future[RecordPosition]] = deque()

    async def send(self, text: str, seconds: float) -> None:
        """Send the next fragment; waits only while too much is under way to Kafka."""
        if not text:
            return
        if self.first_ms is None:
            self.first_ms = int(seconds * 1000)
        value, headers = self._encoder.encode(len(self.texts), text, seconds)
        self._under_way.append(self._sender.send(self._records.fragment(self._job, value, headers)))
        self.texts.append(text)
        self._settled()
        await self._sender.ready()

    async def delivered(self) -> None:
        """Wait until every fragment is in the topic; raises `Undelivered`."""
        for future in self._under_way:
            if not future.done():
                await asyncio.wait((future,))
        self._settled()

    def _settled(self) -> None:
        under_way = self._under_way
        while under_way and under_way[0].done():
            error = under_way.popleft().exception()
            if error is not None:
                for later in under_way:
                    later.add_done_callback(_seen)
                if isinstance(error, LeaseLost):
                    raise error
                if isinstance(error, RecordTooLarge):
                    raise Unfit(f"a fragment is too large: {error}")
                raise Undelivered(f"Kafka did not take a fragment: {error}")
            failpoint(Point.MID_STREAM)


def _seen(future: asyncio.Future[RecordPosition]) -> None:
    if not future.cancelled():
        future.exception()
