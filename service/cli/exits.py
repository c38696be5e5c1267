"""Exit codes of all commands, and which error leads to which code."""

from __future__ import annotations

from enum import IntEnum

from aiokafka.errors import KafkaError

from service.cli.words import in_words
from service.errors import ProcessError, SettingsError
from service.kafka.connecting.connection import BrokerUnavailable
from service.telemetry.redaction import clean


class Exit(IntEnum):
    """The exit codes of all commands; `MEANINGS` explains them."""

    OK = 0
    FAILURE = 1
    USAGE = 2
    UNREACHABLE = 3
    REQUEST_FAILED = 4
    TIMED_OUT = 5
    OTHER_REQUEST = 6
    INTERRUPTED = 130


MEANINGS = {
    Exit.OK: "done",
    Exit.FAILURE: "failed; the last line on stderr says why",
    Exit.USAGE: "wrong usage, or a wrong setting",
    Exit.UNREACHABLE: "Kafka or the platform can't be reached, or refuses our credentials",
    Exit.REQUEST_FAILED: "the request ended as failed, canceled or dead letter; or there is none to act on",
    Exit.TIMED_OUT: "not within --timeout; what was asked for goes on",
    Exit.OTHER_REQUEST: "the id was used before, for another request; its answer is not shown",
    Exit.INTERRUPTED: "interrupted (Ctrl-C)",
}


class CommandError(ProcessError):
    """The command failed, and the message says what the user can do. `code` is the exit code."""

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
    """The line that tells the user why the command failed."""
    if isinstance(error, KafkaError):
        return clean(f"Kafka refused: {in_words(error)}; `reelwire doctor` finds out more")
    return clean(in_words(error))
