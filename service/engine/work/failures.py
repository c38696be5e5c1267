"""The platform's errors as failures of the domain. Only this module decides what an error means to a job."""

from __future__ import annotations

from service.domain.facts import Failure, FailureKind, PlatformErrorDetail
from service.platform.errors import (
    Conflict,
    NotAuthorized,
    NotSent,
    OutcomeUnknown,
    PlatformError,
    RateLimited,
    Rejected,
    ServerFailed,
    SourceChanged,
    StreamBroken,
    UrlRefused,
)

COST_NOTHING = (NotSent, RateLimited, NotAuthorized)
"""Errors after which certainly nothing was done, nor billed. `domain/attempts.py` decides by their `FailureKind`."""


def platform_error(error: PlatformError) -> PlatformErrorDetail | None:
    """Status, code and message of the platform's answer, if there was one."""
    answer = error.answer
    return None if answer is None else PlatformErrorDetail(answer.status, answer.code, answer.message)


def failure_of(error: PlatformError) -> Failure:
    """Classify by what may have been billed and by who must act."""
    match error:
        case RateLimited():
            return Failure(FailureKind.LIMITED, str(error), platform_error(error), error.retry_after_seconds)
        case NotSent() | SourceChanged():
            kind = FailureKind.NOT_SENT
        case NotAuthorized():
            kind = FailureKind.UNAUTHORIZED
        case Conflict():
            # Something with this name is there, or is being worked on: it may be ours, and paid for.
            kind = FailureKind.SERVER
        case Rejected():
            kind = FailureKind.REJECTED
        case UrlRefused():
            kind = FailureKind.BUSY
        case StreamBroken():
            kind = FailureKind.BROKEN
        case ServerFailed():
            kind = FailureKind.SERVER if error.may_be_billed else FailureKind.BUSY
            return Failure(kind, str(error), platform_error(error), error.retry_after_seconds)
        case OutcomeUnknown():
            kind = FailureKind.UNKNOWN
        case _:
            kind = FailureKind.UNKNOWN
    return Failure(kind, str(error), platform_error(error))
