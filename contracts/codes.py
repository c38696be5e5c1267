"""The closed lists of codes: why a job failed, at which stage, and why a record is a dead letter.

`README.md` says what each means.
"""

from __future__ import annotations

from enum import StrEnum


class Stage(StrEnum):
    """The part of its work in which a job failed."""

    REQUEST = "request"
    UPLOAD = "upload"
    ANALYSIS = "analysis"


class ErrorCode(StrEnum):
    """Why a job ended as `failed`."""

    SOURCE_NOT_ALLOWED = "source_not_allowed"
    SOURCE_NOT_FOUND = "source_not_found"
    SOURCE_UNREADABLE = "source_unreadable"
    MODE_NOT_POSSIBLE = "mode_not_possible"
    DEADLINE_EXCEEDED = "deadline_exceeded"
    BUDGET_EXCEEDED = "budget_exceeded"
    ASSET_FAILED = "asset_failed"
    UPLOAD_FAILED = "upload_failed"
    REJECTED = "rejected"
    TASK_FAILED = "task_failed"
    STREAM_FAILED = "stream_failed"
    INTERRUPTED = "interrupted"
    OUTCOME_UNKNOWN = "outcome_unknown"
    PLATFORM_UNAVAILABLE = "platform_unavailable"
    RESULT_TOO_LARGE = "result_too_large"
    INTERNAL_ERROR = "internal_error"

    @property
    def stage(self) -> Stage:
        """The stage the contract lists this code under; `internal_error` may be reported at any stage."""
        if self in _UPLOAD:
            return Stage.UPLOAD
        return Stage.ANALYSIS if self in _ANALYSIS else Stage.REQUEST


_UPLOAD = frozenset({ErrorCode.ASSET_FAILED, ErrorCode.UPLOAD_FAILED})
_ANALYSIS = frozenset(
    {
        ErrorCode.REJECTED,
        ErrorCode.TASK_FAILED,
        ErrorCode.STREAM_FAILED,
        ErrorCode.INTERRUPTED,
        ErrorCode.OUTCOME_UNKNOWN,
        ErrorCode.PLATFORM_UNAVAILABLE,
        ErrorCode.RESULT_TOO_LARGE,
    }
)


class DeadLetterCode(StrEnum):
    """Why a record of the requests topic is not a request."""

    NOT_UTF8 = "not_utf8"
    NOT_JSON = "not_json"
    INVALID = "invalid"
    UNKNOWN_TYPE = "unknown_type"
    TOO_LARGE = "too_large"
