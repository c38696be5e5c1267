"""Requests that are answered by a task."""

from __future__ import annotations

from typing import Any

from tests.engine.bench import Bench
from tests.support.waiting import until

ASYNC: dict[str, Any] = {"upload": "inline", "mode": "async"}


async def watched(bench: Bench) -> None:
    """Return when the task of the job is watched."""
    await until(lambda: len(bench.poller) == 1)
