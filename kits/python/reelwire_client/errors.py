"""Errors of this package, by who must act."""

from __future__ import annotations

from reelwire_client.events import Canceled, Failed
from reelwire_client.records import DeadLetter


class ReelwireError(Exception):
    """Every error of this package that is not a wrong argument."""


class RequestFailed(ReelwireError):
    """The request ended as `failed`. `event["error"]["retryable"]` says whether a new id may succeed."""

    def __init__(self, event: Failed) -> None:
        self.event = event
        super().__init__(f"{event['request_id']} failed: {event['error']['code']}: {event['error']['message']}")


class RequestCanceled(ReelwireError):
    """The request was canceled."""

    def __init__(self, event: Canceled) -> None:
        self.event = event
        super().__init__(f"{event['request_id']} was canceled: {event['reason']}")


class RequestRefused(ReelwireError):
    """The request is in the dead letters: what was sent is no valid request. The message says what to change."""

    def __init__(self, request_id: str, letter: DeadLetter) -> None:
        self.letter = letter
        super().__init__(f"{request_id} was refused: {letter.code}: {letter.message}")


class AlreadyEnded(ReelwireError):
    """The request ended before it was followed. Submit it again with the same id: its completion is sent once more."""


class ReadingStopped(ReelwireError):
    """The topics are not read any longer: the client was closed, or its reader failed (`__cause__` says how)."""


class StreamForgotten(ReelwireError):
    """The stream is not followed any longer: `unfollow` was called for it.

    Or it is one of `streams()` and its partition is read elsewhere now, or more are live than `max_live`. Its
    completion, if it is read here, comes as a stream of its own.
    """


class TooManyStreams(ReelwireError):
    """More streams began than were taken from `streams()`; take them faster, in tasks of their own."""


class NoPartitions(ReelwireError):
    """The requests topic is not there, or has no partitions."""
