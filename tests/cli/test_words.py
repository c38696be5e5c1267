"""No error reaches a person in Python's notation, and no text of a stranger steers a terminal."""

from __future__ import annotations

import re

import aiokafka.errors
import pytest

from service.cli.exits import message_of
from service.cli.words import in_words, visible
from service.errors import ProcessError

pytestmark = pytest.mark.unit

PYTHON = re.compile(r"Error\(|Error:|\{'|frozenset|\[Errno|\[Error|<class|object at 0x|b'|Traceback")
KAFKA = [
    getattr(aiokafka.errors, name)
    for name in dir(aiokafka.errors)
    if isinstance(getattr(aiokafka.errors, name), type) and issubclass(getattr(aiokafka.errors, name), BaseException)
]


@pytest.mark.parametrize("kind", KAFKA, ids=lambda kind: str(kind.__name__))
@pytest.mark.parametrize("args", [(), ({"topic-a"},), ("some text",), (["b", "a"],)])
def test_no_error_of_kafka_is_shown_in_pythons_notation(kind: type[BaseException], args: tuple[object, ...]) -> None:
    shown = message_of(kind(*args))

    assert shown
    assert not PYTHON.search(shown), shown


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ProcessError("no file /etc/key; make it"), "no file /etc/key; make it"),
        (FileNotFoundError(2, "No such file or directory", "/a.mp4"), "/a.mp4: No such file or directory"),
        (PermissionError(13, "Permission denied"), "Permission denied"),
        (TimeoutError(), "no answer in time"),
        (ConnectionResetError(), "connection reset error"),
        (aiokafka.errors.TopicAuthorizationFailedError({"b"}), "topic authorization failed (Kafka error 29): b"),
    ],
)  # fmt: skip
def test_an_error_is_told_in_words(error: BaseException, words: str) -> None:
    assert in_words(error) == words


@pytest.mark.parametrize(
    "error", [KeyError("x"), ValueError("b'\\xff'"), UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad")]
)
def test_a_fault_of_ours_is_told_as_one_and_how_to_report_it(error: BaseException) -> None:
    assert "--debug" in in_words(error)
    assert not PYTHON.search(in_words(error))


def test_what_steers_a_terminal_is_shown_as_an_escape() -> None:
    hostile = "\x1b]0;title\x07 \x9b2J \u202eabc \u2028 a\rb \ud83d"

    assert visible(hostile) == r"\x1b]0;title\x07 \x9b2J \u202eabc \u2028 a\rb \ud83d"
    assert visible("plain ö 😀\n\ttext") == "plain ö 😀\n\ttext"
