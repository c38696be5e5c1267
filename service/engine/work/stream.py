"""One try of a claimed stream: its fragments on their way to Kafka, and what came of it.

Whether a failed stream is repeated the domain decides (`service.domain.attempts`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from service.domain.facts import (
    AnalysisEnded,
    AnalysisFailed,
    AttemptCut,
    Failure,
    FailureKind,
    Outcome,
    ResultTooLarge,
    StreamOpened,
)
from service.engine.work.analysis import analysis_call
from service.engine.work.failures import failure_of
from service.engine.work.fragments import Fragments, TooMuchText, Undelivered
from service.engine.work.held import may_begin
from service.kafka.ports import LeaseLost
from service.platform.errors import PlatformError
from service.platform.values import StreamEnded, StreamStarted, StreamText

if TYPE_CHECKING:
    from service.engine.context import Context
    from service.engine.live_job import LiveJob
    from service.platform.call import AnalysisCall


async def run_stream(live: LiveJob, context: Context) -> None:
    """Stream the attempt and report how it ended."""
    call = analysis_call(live.job, live.request)
    fragments = Fragments(live, context)
    try:
        if not await may_begin(live, context):
            return
        live.begun = True  # from here on there may be a fragment
        await fragments.prove()
        with context.metrics.streams.track_inprogress():
            outcome = await _stream(live, context, call, fragments)
    except PlatformError as error:
        live.report(AnalysisFailed(failure_of(error), published=fragments.count > 0))
    except TooMuchText as error:
        live.report(ResultTooLarge(str(error)))
    except Undelivered as error:
        live.report(AnalysisFailed(Failure(FailureKind.UNDELIVERED, str(error)), published=True))
    except LeaseLost:  # another process has the partition
        live.report(AttemptCut())
    else:
        live.report(AnalysisEnded(outcome))
    finally:
        fragments.close()


async def _stream(live: LiveJob, context: Context, call: AnalysisCall, fragments: Fragments) -> Outcome:
    clock = context.clock
    generation_id: str | None = None
    ended: StreamEnded | None = None
    async with context.platform.stream(call) as reads:
        async for events in reads:
            for event in events:
                match event:
                    case StreamText(text=text):
                        await fragments.send(text, clock.time())
                    case StreamStarted():
                        generation_id = event.generation_id
                        fragments.begin(generation_id)
                        live.report(StreamOpened(generation_id))
                    case StreamEnded():
                        ended = event
    await fragments.delivered()
    if ended is None:
        raise AssertionError("a stream without its end is the client's error to raise")
    return Outcome(
        text=fragments.text(),
        finish_reason=ended.finish_reason,
        generation_id=ended.generation_id or generation_id,
        output_tokens=ended.output_tokens,
        input_tokens=ended.input_tokens,
        warning_code=ended.warning_code,
        warning_message=ended.warning_message,
        fragments=fragments.count,
        first_fragment_ms=fragments.first_ms,
    )
