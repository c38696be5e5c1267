"""Why a video can't be had. Each ends one job; the engine makes the completion's code from the class."""

from __future__ import annotations

from service.errors import JobError


class SourceError(JobError):
    """The video can't be had."""


class SourceNotAllowed(SourceError):
    """Nothing outside the allowed roots and prefixes is read, whether it exists or not."""


class SourceNotFound(SourceError):
    """There is no such file below the allowed roots."""


class SourceUnreadable(SourceError):
    """The video is there and can't be read, or is not what it was when the job began."""


class SourceNotSupported(SourceNotAllowed):
    """Object stores are not read by this version; hand over a URL, a presigned one for example."""
