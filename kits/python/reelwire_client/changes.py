"""What the assembler says about a record: small frozen values, to be matched with `match` or `isinstance`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from reelwire_client.events import Completion, Progress
from reelwire_client.records import DeadLetter


@dataclass(frozen=True, slots=True)
class StreamId:
    """What a request's events have in common. The id alone is not enough: a partition has its own, and runs differ."""

    partition: int
    request_id: str
    run: int

    def __str__(self) -> str:
        return f"{self.partition}/{self.request_id}/{self.run}"


@dataclass(frozen=True, slots=True)
class TextAdded:
    """Text that goes behind what was shown of this stream. Never empty."""

    stream: StreamId
    attempt: int
    text: str


@dataclass(frozen=True, slots=True)
class Restarted:
    """Erase what was shown of this stream: attempt `attempt` begins again."""

    stream: StreamId
    attempt: int


@dataclass(frozen=True, slots=True)
class Progressed:
    """Something happened to the request."""

    stream: StreamId
    event: Progress


@dataclass(frozen=True, slots=True)
class Ended:
    """The last word on the request. For a `completed` one the text shown since the last restart is its whole text."""

    stream: StreamId
    completion: Completion


@dataclass(frozen=True, slots=True)
class Repeated:
    """The completion of a request that had ended was published again, as it is for each request with a known id.

    Ignore it, unless you have sent that request and wait for its end. `same` is false when it is not the completion
    that was kept: a reader with `read_uncommitted` has then kept one that was never committed.
    """

    stream: StreamId
    completion: Completion
    same: bool


@dataclass(frozen=True, slots=True)
class Refused:
    """A record of the requests topic was no request: no completion comes."""

    letter: DeadLetter


@dataclass(frozen=True, slots=True)
class Forgotten:
    """The stream is not followed any longer, to stay within the bounds or because its partition is read elsewhere.

    Erase what was shown of it: should more of it come, it begins again. Its completion is still told.
    """

    stream: StreamId


@dataclass(frozen=True, slots=True)
class Ignored:
    """A record that adds nothing: `late` is behind the end, `lower_attempt` of an attempt that was given up."""

    stream: StreamId
    reason: Literal["late", "lower_attempt", "duplicate"]


@dataclass(frozen=True, slots=True)
class Skipped:
    """A record that could not be read, or is of a kind that this version does not know."""

    reason: str


Change = TextAdded | Restarted | Progressed | Ended | Repeated | Refused | Forgotten | Ignored | Skipped
