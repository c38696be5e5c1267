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


def reason_of(error: BaseException) -> str:
    """The kind and the message of another library's error, for the message of one of ours."""
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


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
