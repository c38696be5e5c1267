"""Errors of libraries in words: what people read never names a Python class or shows its notation."""

from __future__ import annotations

import re
from collections.abc import Iterable

from aiokafka.errors import BrokerResponseError, KafkaError

from service.errors import ReelwireError

_NEXT_WORD = re.compile(r"(?<=[a-z])(?=[A-Z])")


def in_words(error: BaseException) -> str:
    """What an error says, for a log line, a health answer or a message. Never a `repr`; never empty."""
    if isinstance(error, ReelwireError):
        return str(error)
    if isinstance(error, KafkaError):
        return _of_kafka(error)
    if isinstance(error, TimeoutError) and not error.args:
        return "no answer in time"
    if isinstance(error, OSError):
        reason = error.strerror or ", ".join(_texts(error.args)) or kind_of(error)
        return f"{error.filename}: {reason}" if error.filename else reason
    said = ", ".join(_texts(error.args))
    return f"{kind_of(error)}: {said}" if said else kind_of(error)


def kind_of(error: BaseException) -> str:
    """The class's name as words."""
    return _NEXT_WORD.sub(" ", type(error).__name__).lower()


def _of_kafka(error: KafkaError) -> str:
    details = ", ".join(_texts(error.args))
    code = getattr(error, "message", None)  # such as TOPIC_AUTHORIZATION_FAILED; only what a broker answered has one
    if not isinstance(error, BrokerResponseError) or not code:
        return details or kind_of(error)
    name = str(code).replace("_", " ").lower()
    said = f"{name} (Kafka error {error.errno})"
    return f"{said}: {details}" if details else said


def _texts(args: Iterable[object]) -> list[str]:
    found: list[str] = []
    for arg in args:
        if isinstance(arg, list | tuple | set | frozenset):
            found.extend(sorted(_texts(arg)))
        elif isinstance(arg, BaseException):
            found.append(in_words(arg))
        elif arg is not None:
            found.append(str(arg))
    return found
