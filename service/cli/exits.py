"""Exit codes of every command, and which error ends in which."""

from __future__ import annotations

from enum import IntEnum

from aiokafka.errors import KafkaError

from service.errors import ProcessError, ReelwireError, SettingsError
from service.kafka.connection import BrokerUnavailable
from service.telemetry.redaction import clean


class Exit(IntEnum):
    """What a command's exit code tells."""

    OK = 0
    FAILURE = 1
    USAGE = 2
    UNREACHABLE = 3
    REQUEST_FAILED = 4
    INTERRUPTED = 130


MEANINGS = {
    Exit.OK: "done",
    Exit.FAILURE: "failed; the last line on stderr says why",
    Exit.USAGE: "wrong usage, or a wrong setting",
    Exit.UNREACHABLE: "Kafka or the platform can't be reached, or refuses our credentials",
    Exit.REQUEST_FAILED: "the request ended as failed, canceled or dead letter",
    Exit.INTERRUPTED: "interrupted (Ctrl-C)",
}


class CommandError(ProcessError):
    """The command failed for a reason that a user can act on."""

    def __init__(self, message: str, code: Exit = Exit.FAILURE) -> None:
        self.code = code
        super().__init__(message)


def exit_of(error: BaseException) -> Exit:
    """The exit code for an error that ended a command."""
    match error:
        case CommandError():
            return error.code
        case SettingsError():
            return Exit.USAGE
        case BrokerUnavailable() | KafkaError() | TimeoutError():
            return Exit.UNREACHABLE
        case KeyboardInterrupt():
            return Exit.INTERRUPTED
        case _:
            return Exit.FAILURE


def message_of(error: BaseException) -> str:
    """What to say about it: our errors speak for themselves, others are named."""
    if isinstance(error, ReelwireError):
        return str(error)
    if isinstance(error, KafkaError):
        return clean(f"Kafka answered {str(error) or type(error).__name__}; `reelwire doctor` looks closer")
    return clean(f"{type(error).__name__}: {error} (--debug shows where)")
