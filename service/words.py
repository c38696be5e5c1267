"""Errors of libraries in words: what people read never names a Python class or shows its notation.

The one place that words an error of Kafka, of HTTP, of TLS, of the operating system and of a model's check.
"""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Iterable

from aiokafka.errors import BrokerResponseError, KafkaConnectionError, KafkaError
from pydantic import ValidationError

from contracts.rejection import violation_words
from service.errors import ReelwireError

_NEXT_WORD = re.compile(r"(?<=[a-z])(?=[A-Z])")
_ERRNO = re.compile(r"\[Errno (-?\d+)\] ")
_PLACE_IN_C = re.compile(r"\s*\(_ssl\.c:\d+\)|\[[A-Z0-9_]+(?:: [A-Z0-9_]+)?\] ")
_ADDRESS = re.compile(r"\('([^']*)', (\d+)(?:, [^()]*)?\)")
_MEMBERS = 5


def in_words(error: BaseException) -> str:
    """What an error says, for a log line, a health answer or a message. Never a `repr`; never empty."""
    if isinstance(error, ReelwireError):
        return str(error)
    if isinstance(error, KafkaError):
        return _of_kafka(error)
    if isinstance(error, ValidationError):
        return _of_model(error)
    if isinstance(error, TimeoutError) and not error.args:
        return "no answer in time"
    if isinstance(error, ssl.SSLError):
        return _of_tls(error)
    if isinstance(error, OSError):
        return _of_system(error)
    said = ", ".join(_texts(error.args))
    return f"{kind_of(error)}: {said}" if said else kind_of(error)


def kind_of(error: BaseException) -> str:
    """The class's name as words."""
    return _NEXT_WORD.sub(" ", type(error).__name__).lower()


def _of_kafka(error: KafkaError) -> str:
    details = ", ".join(_texts(error.args))
    if isinstance(error, KafkaConnectionError) and (not details or "bootstrap from" in details):
        return "no connection could be made"  # its own text is a list of all addresses, in Python's notation
    code = getattr(error, "message", None)  # such as TOPIC_AUTHORIZATION_FAILED; only what a broker answered has one
    if not isinstance(error, BrokerResponseError) or not code:
        return details or kind_of(error)
    name = str(code).replace("_", " ").lower()
    said = f"{name} (Kafka error {error.errno})"
    return f"{said}: {details}" if details else said


def _of_model(error: ValidationError) -> str:
    """Where and what, in the words that the contract has for it; never a value."""
    found = [(".".join(str(part) for part in item["loc"]), item) for item in error.errors()[:_MEMBERS]]
    return "; ".join(
        f"{where or 'it'}: {item['ctx']['error'] if item['type'] == 'value_error' else violation_words(item)}"
        for where, item in found
    )


def _of_tls(error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError) and error.verify_message:
        return error.verify_message
    if error.reason:
        return str(error.reason).replace("_", " ").lower()
    return _PLACE_IN_C.sub("", ", ".join(_texts(error.args[1:] or error.args))) or "the TLS connection failed"


def _of_system(error: OSError) -> str:
    """With the system's own words for its number: asyncio puts a tuple of the address in their place."""
    reason = os.strerror(error.errno) if error.errno is not None and error.errno > 0 else error.strerror
    reason = reason or ", ".join(_texts(error.args)) or kind_of(error)
    return f"{error.filename}: {reason}" if error.filename else reason


def _texts(args: Iterable[object]) -> list[str]:
    found: list[str] = []
    for arg in args:
        if isinstance(arg, list | tuple | set | frozenset):
            found.extend(sorted(_texts(arg)))
        elif isinstance(arg, BaseException):
            found.append(in_words(arg))
        elif isinstance(arg, str | int | float):  # other objects have nothing but a `repr`
            found.append(plain(str(arg)))
    return found


def plain(text: str) -> str:
    """A library's text without Python's notation of errors and addresses."""
    return _ADDRESS.sub(r"\1:\2", _ERRNO.sub("", text))
