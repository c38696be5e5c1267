"""What can go wrong between us and the platform, ordered by what the caller may do next.

Every error carries the platform's answer, if there was one. No error holds the API key, and none is chained to an
exception of the HTTP libraries: those hold the request with its headers.
"""

from __future__ import annotations

from typing import Literal

from contracts.events import PlatformAnswer
from service.errors import ReelwireError

Category = Literal["upload", "analyze", "batch", "read"]


_TIMED_OUT = "request_canceled_or_timed_out"
"""The platform gave up on work that it had begun; its status for this is not documented."""


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


class SearchIncomplete(PlatformError):
    """A list of the platform could not be read to its end: what was looked for may be there all the same."""


class RateLimited(PlatformError):
    """429, now or shortly before: nothing happened. The gate of this category of calls is closed."""

    def __init__(
        self, message: str | None = None, *, retry_after_seconds: float, answer: PlatformAnswer | None = None
    ) -> None:
        super().__init__(message, answer=answer)
        self.retry_after_seconds = retry_after_seconds


WORK_SECONDS = 5.0
"""An error that comes sooner is a server that turns calls away: no analysis of a video runs, and fails, in less."""


class ServerFailed(PlatformError):
    """5xx (also 408, 425, a proxy's 407, and redirects, which are never followed): the same call may work later.

    After a 5xx the work may have been done all the same, and after a time limit of the platform; after the others it
    was not.
    """

    def __init__(
        self,
        message: str | None = None,
        *,
        answer: PlatformAnswer,
        retry_after_seconds: float | None = None,
        took_seconds: float = 0.0,
    ) -> None:
        super().__init__(message, answer=answer)
        status = answer.status or 0
        self.may_have_happened = status >= 500 or answer.code == _TIMED_OUT
        begun = status == 504 or answer.code == _TIMED_OUT or took_seconds >= WORK_SECONDS
        self.may_be_billed = self.may_have_happened and begun and (status != 503 or retry_after_seconds is None)
        """Whether an analysis may have run before the error. A search for what the call may have made costs nothing, so
        it goes by `may_have_happened` instead."""
        self.retry_after_seconds = retry_after_seconds
        """The wait that the platform names; None when it names none."""


class NotAuthorized(PlatformError):
    """Our API key is refused, for every request alike."""


class Rejected(PlatformError):
    """The platform refuses this request (4xx) and would refuse it again."""


class Unsendable(Rejected):
    """This request can't be written as an HTTP request, so nothing was sent and nothing ever will be."""


class NotFound(Rejected):
    """404: the platform does not know it, or no longer."""


class Conflict(Rejected):
    """409: the request does not fit the present state of what it is about."""


class UrlRefused(PlatformError):
    """The platform's storage does not take a URL (any more): it was used, or has expired. Ask for a fresh one."""


BreakReason = Literal["cut", "no_end", "error", "unreadable", "line_too_long", "idle"]


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
        """Whether an event had come before."""


class SourceChanged(PlatformError):
    """The video changed while it was being uploaded: nothing usable was sent; open it anew."""
