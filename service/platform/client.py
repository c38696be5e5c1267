"""The platform's client: everything the engine asks of the platform, in one object."""

from __future__ import annotations

from service.platform.analysis import AnalysisCalls
from service.platform.assets import AssetCalls
from service.platform.batches.calls import BatchCalls
from service.platform.tasks import TaskCalls
from service.platform.uploads.sessions import UploadCalls


class PlatformClient(AssetCalls, AnalysisCalls, TaskCalls, BatchCalls, UploadCalls):
    """Assets, uploads, analyses and tasks of one account.

    No call is repeated in here: what may be repeated, and when, the engine decides by the error it gets. Each category
    of calls (`upload`, `analyze`, `batch`, `read`) has a gate, closed while the platform wants none: a call waits
    there for a few seconds at most, and else raises `RateLimited` with the time that is left. A call has no limit in
    all: cancel it, and its connection is closed.
    """
