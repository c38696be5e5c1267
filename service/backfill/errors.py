"""Why a backfill can't begin, or can't go on."""

from __future__ import annotations

from service.errors import ProcessError


class ArchiveRefused(ProcessError):
    """The archive or its objects can't be named like this, or must not be read; the message says what to change."""


class ArchiveUnreadable(ProcessError):
    """The archive's listing has failed; the message says where, and what to do."""


class StateRefused(ProcessError):
    """The state file can't be used; the message says why."""


class Overtaken(ProcessError):
    """Another backfill of the same archive with the same work has begun and goes on; this one has stopped."""


class AlreadyRuns(ProcessError):
    """The same backfill is under way elsewhere, and there are no transactions that would stop it."""

    def __init__(self, other: str) -> None:
        """`other` says which process it is."""
        super().__init__(
            f"another backfill of the same archive with the same work is under way: {other}; wait for its end or stop "
            "it, or take over from it with --force"
        )


class ReportUnwritable(ProcessError):
    """The report can't be written; the message says why."""
