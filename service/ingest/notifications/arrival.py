"""What a notification says, whoever has sent it: a video is there. Small frozen values, without I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from contracts.codes import DeadLetterCode

Source = Literal["s3", "gcs", "azure", "frigate", "file"]
"""The kinds of sources: `s3` is every store that speaks S3, `file` a file of a watched folder."""


class Unreadable(Exception):
    """A notification, or one entry of it, can't be read. `code` and the message go to the dead letters."""

    def __init__(self, code: DeadLetterCode, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True)
class Arrival:
    """One video that has arrived."""

    source: Source
    bucket: str
    """Bucket or container; the camera for Frigate; empty for a file."""
    key: str
    """Name of the object, decoded; the event's id for Frigate; the path below the watched folder for a file."""
    version: str | None = None
    """Which content it is: version id or generation, else the ETag; size and time of change for a file."""
    versioned: bool = False
    """Whether the store keeps the other versions of this name."""
    sequencer: str | None = None
    """The order of changes of one name, as the store gives it: hexadecimal, compare with `later`."""
    size: int | None = None
    """Bytes, where it is said."""
    event_at: float | None = None
    """When it happened by the source's clock, in seconds since the epoch. For Frigate: when the clip begins."""
    uri: str | None = None
    """How a request names the object; None where the rule has to say where the video is."""
    path: str | None = None
    """The absolute path of a file."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    """The object's own metadata, where the notification holds it. Names in lower case."""
    fields: Mapping[str, str] = field(default_factory=dict)
    """What else a rule may ask for by name (`where`, templates), beside the parts of the name."""

    @property
    def object_name(self) -> str:
        """What has the same text for every version of one object, for people and for the order of changes."""
        return self.uri or self.path or f"{self.source}:{self.bucket}/{self.key}"


@dataclass(frozen=True, slots=True)
class OtherEvent:
    """An event that is no arrival of a video: a deletion, a test message, an event that goes on. It is only counted."""

    kind: str


Notice = Arrival | OtherEvent | Unreadable


def later(one: str, other: str) -> bool:
    """Whether the sequencer `one` is later than `other`: the shorter is padded with zeros at its right, then compared.

    Source: Amazon S3's page on the structure of event messages. Only of use for two events of one name.
    """
    length = max(len(one), len(other))
    return one.upper().ljust(length, "0") > other.upper().ljust(length, "0")
