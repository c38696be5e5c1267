"""What is really in a file: PyAV opens it, a sample of its frames and its sound are measured.

Runs in a worker thread and blocks it. The viewer keeps the result by the content's SHA-256.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import av
import numpy as np

from service.errors import ReelwireError

_WIDTH, _HEIGHT = 32, 18
_MAX_SAMPLES = 600
_KEYFRAMES_ABOVE_SECONDS = 180.0
_SOUND_SECONDS = 600.0
_CUT_THRESHOLD = 18.0
_SHORTEST_SCENE_SECONDS = 0.8

Kind = Literal["video", "audio", "image"]


class UnreadableFootage(ReelwireError):
    """The file is not a readable video."""


@dataclass(frozen=True, slots=True)
class Scene:
    """A stretch between two cuts: means over its samples. Times in seconds on the file's clock."""

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
    """What the emulator knows of a video; all that is needed after its bytes are gone."""

    sha256: str
    size: int
    kind: Kind
    container: str
    duration: float
    width: int
    height: int
    fps: float
    video_codec: str | None
    audio_codec: str | None
    sample_rate: int
    channels: int
    scenes: tuple[Scene, ...]


def inspect(path: Path, sha256: str) -> Footage:
    """Look into the file at `path`; raises `UnreadableFootage`."""
    try:
        with av.open(str(path)) as container:
            return _inspected(container, path, sha256)
    except (av.error.FFmpegError, OSError, ValueError, IndexError) as error:
        raise UnreadableFootage(f"The file is not a readable video ({type(error).__name__}).") from None


def _inspected(container: Any, path: Path, sha256: str) -> Footage:
    video = container.streams.video[0] if container.streams.video else None
    audio = container.streams.audio[0] if container.streams.audio else None
    if video is None and audio is None:
        raise UnreadableFootage("The file has neither a video nor an audio stream.")
    names = container.format.name
    image = names == "image2" or names.endswith("_pipe")
    duration = 0.0 if image else _duration(container, video, audio)
    samples = _samples(container, video, duration) if video is not None else []
    if video is not None and not samples:
        raise UnreadableFootage("No frame of the video could be decoded.")
    if video is not None and not image:
        duration = max(duration, samples[-1][0])
    levels = _levels(path) if audio is not None and not image else []
    return Footage(
        sha256=sha256,
        size=path.stat().st_size,
        kind="image" if image else "video" if video is not None else "audio",
        container=names,
        duration=round(duration, 3),
        width=video.width if video is not None else 0,
        height=video.height if video is not None else 0,
        fps=round(float(video.average_rate or 0), 3) if video is not None else 0.0,
        video_codec=video.codec_context.name if video is not None else None,
        audio_codec=audio.codec_context.name if audio is not None else None,
        sample_rate=audio.rate if audio is not None else 0,
        channels=audio.channels if audio is not None else 0,
        scenes=_scenes(samples, levels, duration),
    )


def _duration(container: Any, video: Any, audio: Any) -> float:
    if container.duration is not None:
        return float(container.duration / av.time_base)
    stream = video if video is not None else audio
    return float(stream.duration * stream.time_base) if stream.duration is not None else 0.0


def _samples(container: Any, video: Any, duration: float) -> list[tuple[float, Any]]:
    """Small RGB pictures with their times, a few a second; of long videos their key frames only."""
    video.thread_type = "AUTO"
    if duration > _KEYFRAMES_ABOVE_SECONDS:
        video.codec_context.skip_frame = "NONKEY"
    gap = max(0.1, duration / _MAX_SAMPLES)
    samples: list[tuple[float, Any]] = []
    due = float("-inf")
    try:
        for frame in container.decode(video):
            at = float(frame.time or 0.0)
            if at >= due:
                small = frame.reformat(width=_WIDTH, height=_HEIGHT, format="rgb24").to_ndarray()
                samples.append((at, small.astype(np.float32)))
                due = at + gap
    except av.error.FFmpegError:
        if not samples:
            raise
    return samples


def _levels(path: Path) -> list[float]:
    """Loudness of each second in dB below full scale."""
    squares: list[float] = []
    counts: list[int] = []
    try:
        with av.open(str(path)) as container:
            for frame in container.decode(container.streams.audio[0]):
                second = max(0, int(frame.time or 0.0))
                if second >= _SOUND_SECONDS:
                    break
                values = frame.to_ndarray().astype(np.float64)
                if frame.format.name.startswith("s16"):
                    values /= 32768.0
                elif frame.format.name.startswith("s32"):
                    values /= 2147483648.0
                while len(squares) <= second:
                    squares.append(0.0)
                    counts.append(0)
                squares[second] += float((values**2).sum())
                counts[second] += values.size
    except av.error.FFmpegError:
        pass  # what could be heard until here is enough
    means = [total / count if count else 0.0 for total, count in zip(squares, counts, strict=True)]
    return [round(10 * float(np.log10(mean + 1e-9)), 1) for mean in means]


def _scenes(samples: list[tuple[float, Any]], levels: list[float], duration: float) -> tuple[Scene, ...]:
    changes = [float(np.abs(b[1] - a[1]).mean()) for a, b in pairwise(samples)]
    cuts = [0]
    for index, change in enumerate(changes, start=1):
        if change > _CUT_THRESHOLD and samples[index][0] - samples[cuts[-1]][0] >= _SHORTEST_SCENE_SECONDS:
            cuts.append(index)
    scenes = []
    for number, first in enumerate(cuts):
        last = cuts[number + 1] if number + 1 < len(cuts) else len(samples)
        start = samples[first][0] if samples and number else 0.0
        end = samples[last][0] if last < len(samples) else duration
        pictures = [picture for _, picture in samples[first:last]]
        steady = [change for change in changes[first : max(first, last - 1)] if change <= _CUT_THRESHOLD]
        heard = levels[int(start) : max(int(start) + 1, round(end))]
        scenes.append(
            Scene(
                start=round(start, 2),
                end=round(end, 2),
                brightness=round(float(np.mean([p.mean() for p in pictures])) / 255, 3) if pictures else 0.0,
                motion=round(min(1.0, float(np.mean(steady)) / 8), 3) if steady else 0.0,
                colour=_colour(np.mean([p.mean(axis=(0, 1)) for p in pictures], axis=0)) if pictures else "no",
                loudness=round(float(np.mean(heard)), 1) if heard else None,
            )
        )
    return tuple(scenes)


def _colour(mean: Any) -> str:
    red, green, blue = (float(value) for value in mean)
    if max(red, green, blue) - min(red, green, blue) < 18:
        return "grey"
    strongest = max(red, green, blue)
    near = strongest * 0.8
    return {
        (True, False, False): "red",
        (False, True, False): "green",
        (False, False, True): "blue",
        (True, True, False): "yellow",
        (False, True, True): "cyan",
        (True, False, True): "magenta",
    }.get((red >= near, green >= near, blue >= near), "pale")
