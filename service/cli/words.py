"""Words for people: errors without Python's notation, and texts of strangers without what moves a terminal's cursor."""

from __future__ import annotations

import re
from collections.abc import Iterable

from aiokafka.errors import BrokerResponseError, KafkaError

from service.errors import ReelwireError

_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_NEXT_WORD = re.compile(r"(?<=[a-z])(?=[A-Z])")


def in_words(error: BaseException) -> str:
    """What an error says, for a line on a terminal. Never a `repr`; never empty.

    An error that is none of ours, of Kafka's or of the operating system's is a fault of ours: then the line says how
    to report it.
    """
    if isinstance(error, ReelwireError):
        return str(error)
    if isinstance(error, KafkaError):
        return _of_kafka(error)
    if isinstance(error, TimeoutError) and not error.args:
        return "no answer in time"
    if isinstance(error, OSError):
        reason = error.strerror or ", ".join(_texts(error.args)) or _name(error)
        return f"{error.filename}: {reason}" if error.filename else reason
    return f"reelwire has met a fault of its own ({_name(error)}); run it again with --debug and report what that shows"


def visible(text: str) -> str:
    """`text` in which characters that steer a terminal are shown as escapes; line feed and tab are kept."""
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape", "surrogatepass").decode(), text)


def _of_kafka(error: KafkaError) -> str:
    details = ", ".join(_texts(error.args))
    code = getattr(error, "message", None)  # such as TOPIC_AUTHORIZATION_FAILED; only what a broker answered has one
    if not isinstance(error, BrokerResponseError) or not code:
        return details or _name(error)
    name = str(code).replace("_", " ").lower()
    said = f"{name} (Kafka error {error.errno})"
    return f"{said}: {details}" if details else said


def _name(error: BaseException) -> str:
    """The class's name as words."""
    return _NEXT_WORD.sub(" ", type(error).__name__).lower()


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
