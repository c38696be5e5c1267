"""One try of a claimed synchronous analysis: one request, one response. Whether it is repeated the domain decides."""

from __future__ import annotations

from typing import TYPE_CHECKING

from service.domain.facts import AnalysisEnded, AnalysisFailed
from service.engine.work.analysis import analysis_call, outcome_of
from service.engine.work.failures import failure_of
from service.engine.work.held import may_begin
from service.platform.errors import PlatformError

if TYPE_CHECKING:
    from service.engine.context import Context
    from service.engine.live_job import LiveJob


async def run_sync(live: LiveJob, context: Context) -> None:
    """Report `AnalysisEnded` or `AnalysisFailed`."""
    call = analysis_call(live.job, live.request)
    if not await may_begin(live, context):
        return
    live.begun = True
    try:
        with context.metrics.streams.track_inprogress():
            analysis = await context.platform.analyze(call)
    except PlatformError as error:
        live.report(AnalysisFailed(failure_of(error)))
    else:
        live.report(AnalysisEnded(outcome_of(analysis)))
