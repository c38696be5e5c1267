"""One tree of errors, ordered by who must act."""

from __future__ import annotations

from service.telemetry.redaction import clean


class ReelwireError(Exception):
    """Something went wrong in Reelwire.

    Messages often quote foreign text (a library's exception, a platform's answer), and are logged, shown and
    published: secrets are taken out here, once for all of them.
    """

    def __init__(self, message: str | None = None) -> None:
        super().__init__(clean(message) if message else (self.__doc__ or "").strip().splitlines()[0])


class RetryLater(ReelwireError):
    """The same call may work later: the engine waits and repeats it."""


class JobError(ReelwireError):
    """This job can't go on; every other one can."""


class PartitionError(ReelwireError):
    """The ownership of a partition is over: its runtime is dropped and the partition taken over anew."""


class ProcessError(ReelwireError):
    """The process can't do its work: it stops with a message and a non-zero exit code."""


class SettingsError(ProcessError):
    """A setting is missing or wrong."""
