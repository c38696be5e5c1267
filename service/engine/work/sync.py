"""A claimed synchronous analysis: one request, one response."""

from __future__ import annotations

from typing import TYPE_CHECKING

from service.domain.facts import AnalysisEnded, AnalysisFailed
from service.engine.work.analysis import analysis_call, outcome_of
from service.engine.work.call_retry import CallRetry, lease_held
from service.engine.work.failures import COST_NOTHING, failure_of
from service.platform.errors import PlatformError

if TYPE_CHECKING:
    from service.engine.context import Context
    from service.engine.live_job import LiveJob


async def run_sync(live: LiveJob, context: Context) -> None:
    """Make the call; repeated within the attempt only while it certainly cost nothing."""
    call = analysis_call(live.job, live.request)
    patience = CallRetry(live, context, "analysis")
    while True:
        await lease_held(context)
        try:
            with context.metrics.streams.track_inprogress():
                analysis = await context.platform.analyze(call)
        except COST_NOTHING as error:
            await patience.wait(error)
        except PlatformError as error:
            live.report(AnalysisFailed(failure_of(error)))
            return
        else:
            live.report(AnalysisEnded(outcome_of(analysis)))
            return
