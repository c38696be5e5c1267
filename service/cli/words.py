"""Words for people on a terminal: errors, and texts of strangers without what moves a terminal's cursor."""

from __future__ import annotations

import re

from aiokafka.errors import KafkaError

from service import words
from service.errors import ReelwireError

_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def in_words(error: BaseException) -> str:
    """What an error says, for a line on a terminal. Never a `repr`; never empty.

    An error that is none of ours, of Kafka's or of the operating system's is a fault of ours: then the line says how
    to report it.
    """
    if isinstance(error, ReelwireError | KafkaError | OSError):
        return words.in_words(error)
    kind = words.kind_of(error)
    return f"reelwire has met a fault of its own ({kind}); run it again with --debug and report what that shows"


def visible(text: str) -> str:
    """`text` in which characters that steer a terminal are shown as escapes; line feed and tab are kept."""
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape", "surrogatepass").decode(), text)
