"""Named points at which a test stops the process, to kill it exactly there.

`REELWIRE_FAILPOINT=after_claim` stops the whole process (SIGSTOP) the first time that point is passed,
`after_claim:3` the third time. Without the variable a point costs one comparison.
"""

from __future__ import annotations

import os
import signal
from enum import StrEnum

VARIABLE = "REELWIRE_FAILPOINT"


class Point(StrEnum):
    """The arrows of a request's path."""

    BEFORE_INTAKE = "before_intake"  # records read, nothing written
    AFTER_INTAKE = "after_intake"  # intake is durable, nothing begun
    BEFORE_UPLOAD = "before_upload"
    AFTER_UPLOAD = "after_upload"  # the platform has answered, nothing is noted
    BEFORE_CLAIM = "before_claim"
    AFTER_CLAIM = "after_claim"  # the claim is durable, nothing is sent
    AFTER_POST = "after_post"  # the platform has answered with a task, nothing is noted
    AFTER_TASK_ID = "after_task_id"  # the task id is durable
    AFTER_RESULT = "after_result"  # the result is in memory only
    BEFORE_COMMIT = "before_commit"  # records of a transaction are sent, not committed
    AFTER_COMPLETION = "after_completion"  # the completion is durable
    MID_STREAM = "mid_stream"  # a fragment has been delivered
    IN_RESTORE = "in_restore"  # in the middle of a takeover


def _armed() -> tuple[str, int]:
    name, _, nth = os.environ.get(VARIABLE, "").partition(":")
    return name, int(nth or 1)


_name, _left = _armed()


def failpoint(point: Point) -> None:
    """Stop the process here if a test asked for it."""
    global _left
    if _name and point == _name:
        _left -= 1
        if _left == 0:
            os.kill(os.getpid(), signal.SIGSTOP)
