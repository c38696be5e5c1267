"""`jobs.ordering=key`: the jobs of one key run one after another, within their partition."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from service.engine.live_job import LiveJob


class KeyQueues:
    """One queue for each key. Without ordering, and for jobs without a key, nothing waits."""

    def __init__(self, *, by_key: bool) -> None:
        self._by_key = by_key
        self._queues: dict[bytes, deque[LiveJob]] = {}

    def __repr__(self) -> str:
        return f"<KeyQueues of {len(self._queues)} keys>"

    def __len__(self) -> int:
        return len(self._queues)

    def enter(self, live: LiveJob) -> bool:
        """Add a job to the queue of its key. True when it may begin at once."""
        # A job that is to be canceled already has nothing to wait for. One that has begun is waited for all the same.
        job = live.job
        if self._by_key and job.key is not None and (job.ending is None or job.attempt > 0):
            self._queues.setdefault(job.key, deque()).append(live)
        return self.may_begin(live)

    def may_begin(self, live: LiveJob) -> bool:
        """Whether a job waits for no other: it is the first of its key, or is to be canceled."""
        queue = None if live.job.key is None else self._queues.get(live.job.key)
        return queue is None or live.job.ending is not None or live not in queue or queue[0] is live

    def leave(self, live: LiveJob) -> LiveJob | None:
        """Remove a job that has ended. Returns the one that may begin now, if any."""
        key = live.job.key
        queue = self._queues.get(key) if key is not None else None
        if key is None or queue is None or live not in queue:
            return None
        first = queue[0] is live
        queue.remove(live)
        if not queue:
            del self._queues[key]
            return None
        return queue[0] if first else None
