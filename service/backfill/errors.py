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
