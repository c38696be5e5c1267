"""Why a video can't be had. Each ends one job; the engine makes the completion's code from the class."""

from __future__ import annotations

from service.errors import JobError


class SourceError(JobError):
    """The video can't be had."""

    retryable: bool = False
    """Whether the same request may succeed later: a file may come, or be finished."""


class SourceNotAllowed(SourceError):
    """Nothing outside the allowed roots and prefixes is read, whether it exists or not."""


class SourceNotFound(SourceError):
    """There is no such file below the allowed roots (yet); send the request again when it is there."""

    retryable = True


class SourceUnreadable(SourceError):
    """The video is there and can't be read."""


class SourceUnfinished(SourceUnreadable):
    """The file may still be being written; send the request again when it is complete."""

    retryable = True


class SourceSilent(SourceUnreadable):
    """The file system does not answer; send the request again when it does."""

    retryable = True
