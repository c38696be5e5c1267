"""One try of a claimed synchronous analysis: one request, one response. Whether it is repeated the domain decides."""

from __future__ import annotations

from typing import TYPE_CHECKING

from service.domain.facts import AnalysisEnded, AnalysisFailed, AttemptUnused
from service.engine.work.analysis import analysis_call, gate_closed, outcome_of
from service.engine.work.call_retry import lease_held, quota_held
from service.engine.work.failures import failure_of
from service.engine.work.held import paused
from service.platform.errors import PlatformError

if TYPE_CHECKING:
    from service.engine.context import Context
    from service.engine.live_job import LiveJob


async def run_sync(live: LiveJob, context: Context) -> None:
    """Report `AnalysisEnded` or `AnalysisFailed`."""
    call = analysis_call(live.job, live.request)
    await lease_held(live, context)
    closed = gate_closed(context)
    if closed is not None:
        live.report(AnalysisFailed(closed))
        return
    await quota_held(live, context)
    if paused(live, context):
        live.report(AttemptUnused())
        return
    live.begun = True
    try:
        with context.metrics.streams.track_inprogress():
            analysis = await context.platform.analyze(call)
    except PlatformError as error:
        live.report(AnalysisFailed(failure_of(error)))
    else:
        live.report(AnalysisEnded(outcome_of(analysis)))
