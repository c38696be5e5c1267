"""`jobs.ordering=key`: the jobs of one key run one after another, within their partition."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from service.engine.job.live_job import LiveJob


class KeyQueues:
    """One line per key. Without ordering, and for jobs without a key, there is no line to wait in."""

    def __init__(self, *, by_key: bool) -> None:
        self._by_key = by_key
        self._lanes: dict[bytes, deque[LiveJob]] = {}

    def __repr__(self) -> str:
        return f"<KeyQueues of {len(self._lanes)} keys>"

    def __len__(self) -> int:
        return len(self._lanes)

    def enter(self, live: LiveJob) -> bool:
        """Line up; True when the job may begin at once."""
        # One whose end is asked for already has nothing to wait for.
        if not self._by_key or live.job.key is None or live.job.ending is not None:
            return True
        lane = self._lanes.setdefault(live.job.key, deque())
        lane.append(live)
        return lane[0] is live

    def leave(self, live: LiveJob) -> LiveJob | None:
        """The job has ended; returns the one that may begin now."""
        key = live.job.key
        lane = self._lanes.get(key) if key is not None else None
        if key is None or lane is None or live not in lane:
            return None
        first = lane[0] is live
        lane.remove(live)
        if not lane:
            del self._lanes[key]
            return None
        return lane[0] if first else None
