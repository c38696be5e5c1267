"""What the emulator knows of a video after it has looked into it. Plain data: no file is needed any more."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from service.errors import ReelwireError

Kind = Literal["video", "audio", "image"]


class UnreadableFootage(ReelwireError):
    """The file is not a readable video."""


class InspectionTooLong(UnreadableFootage):
    """The file could not be inspected in the time there is; on a less busy machine it may be."""


@dataclass(frozen=True, slots=True)
class Scene:
    """The time between two cuts: means over its samples. Times are seconds on the file's clock."""

    start: float
    end: float
    brightness: float
    """0 (black) to 1 (white)."""
    motion: float
    """Mean change between samples, 0 (still) to 1."""
    colour: str
    loudness: float | None
    """RMS in dB below full scale; None without sound."""


@dataclass(frozen=True, slots=True)
class Footage:
    """The measures of one content."""

    sha256: str
    size: int
    """In bytes."""
    kind: Kind
    container: str
    duration: float
    """Seconds from the first picture to the end of the last; of audio, the same of the sound; 0 for an image."""
    width: int
    height: int
    fps: float
    video_codec: str | None
    audio_codec: str | None
    """`unknown` for sound that has no decoder here; None without sound."""
    sample_rate: int
    channels: int
    scenes: tuple[Scene, ...]
    starts_at: float = 0.0
    """What the file's clock shows at the first picture, in seconds: a cut-out of a broadcast may start at 90."""
    rotation: int = 0
    """Degrees, as the file asks players to turn the picture."""
    video_streams: int = 0
    audio_streams: int = 0
    audio_duration: float = 0.0

    @property
    def ends_at(self) -> float:
        """What the file's clock shows at the end."""
        return round(self.starts_at + self.duration, 3)

    def as_json(self) -> dict[str, Any]:
        """For the worker's answer and the journal."""
        return asdict(self)


def footage_from(values: dict[str, Any]) -> Footage:
    """The inverse of `as_json`. Members that an older journal lacks have their defaults."""
    scenes = tuple(Scene(**scene) for scene in values["scenes"])
    return Footage(**(values | {"scenes": scenes}))
