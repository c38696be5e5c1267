"""What can go wrong between us and the platform, ordered by what the caller may do next.

Every error carries the platform's own words, if there were any. No error ever holds the API key, and
none is chained to an exception of the HTTP libraries: those hold the request with its headers.
"""

from __future__ import annotations

from typing import Literal

from contracts.events import PlatformAnswer
from service.errors import ReelwireError

Category = Literal["upload", "analyze", "read"]


class PlatformError(ReelwireError):
    """A call of the platform failed."""

    may_have_happened: bool = False
    """Whether the platform may have done (and billed) what was asked."""

    def __init__(self, message: str | None = None, *, answer: PlatformAnswer | None = None) -> None:
        super().__init__(message)
        self.answer = answer


class NotSent(PlatformError):
    """The platform could not be reached: certainly nothing happened, the call may be repeated."""


class OutcomeUnknown(PlatformError):
    """The request was sent and no complete, readable answer came back."""

    may_have_happened = True


class RateLimited(PlatformError):
    """429: nothing happened. The category's gate is closed already; a later call waits there by itself."""

    def __init__(
        self,
        message: str | None = None,
        *,
        retry_after_seconds: float,
        category: Category,
        daily: bool,
        answer: PlatformAnswer | None = None,
    ) -> None:
        super().__init__(message, answer=answer)
        self.retry_after_seconds = retry_after_seconds
        self.category = category
        self.daily = daily
        """A quota of hours or days is gone, not one of minutes."""


class ServerFailed(PlatformError):
    """5xx (also 408, 425 and redirects, which are never followed): the same call may work later.

    Behind a 5xx the work may have been done all the same; the others come before it.
    """

    def __init__(self, message: str | None = None, *, answer: PlatformAnswer) -> None:
        super().__init__(message, answer=answer)
        self.may_have_happened = (answer.status or 0) >= 500


class NotAuthorized(PlatformError):
    """401 or 403: our key or account is at fault, not the request."""


class Rejected(PlatformError):
    """Another 4xx: this request is wrong and stays wrong."""


class NotFound(Rejected):
    """404: the platform knows no such thing, or no longer."""


class Conflict(Rejected):
    """409: the request does not fit the condition of what it is about."""


BreakReason = Literal["cut", "no_end", "error", "unreadable", "line_too_long", "idle", "deadline"]


class StreamBroken(PlatformError):
    """A stream ended before its `stream_end`: what came of it may be billed and can't be resumed."""

    may_have_happened = True

    def __init__(
        self,
        message: str | None = None,
        *,
        reason: BreakReason,
        started: bool,
        answer: PlatformAnswer | None = None,
    ) -> None:
        super().__init__(message or f"the stream broke: {reason}", answer=answer)
        self.reason = reason
        self.started = started
        """Whether any event had come before."""


class SourceChanged(PlatformError):
    """The video changed while it was being uploaded: nothing usable was sent; open it anew."""
