"""Cuts, brightness, motion, colour and loudness, from small samples of pictures and sound.

It does without numpy, whose import would double the time that a worker takes to start.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from operator import mul, sub
from typing import Any

import av

from service.emulator.media.footage import Scene

WIDTH, HEIGHT = 32, 18
"""Of a sampled picture, in pixels of three bytes (red, green, blue)."""
_CUT_THRESHOLD = 18.0
_SHORTEST_SCENE_SECONDS = 0.8
_SOUND_RATE = 8000
_SOUND_SECONDS = 600
_SILENCE = 1e-9


@dataclass(frozen=True, slots=True)
class Sample:
    """A small picture and its time on the file's clock, in seconds."""

    at: float
    pixels: bytes


class Loudness:
    """Mean loudness of each second of the file's clock, for the first ten minutes of sound."""

    def __init__(self) -> None:
        # One channel of 16 bits at 8 kHz from whatever comes. PyAV's own arrays crash on more than 8 planes.
        self._resampler = av.AudioResampler(format="s16", layout="mono", rate=_SOUND_RATE)
        self._squares: dict[int, float] = {}
        self._counts: dict[int, int] = {}

    @property
    def full(self) -> bool:
        return len(self._squares) >= _SOUND_SECONDS

    def add(self, frame: Any) -> None:
        """Take a decoded frame; raises `FFmpegError` for one that can't be resampled."""
        second = math.floor(frame.time or 0.0)
        for part in self._resampler.resample(frame):
            values = array("h", bytes(part.planes[0])[: part.samples * 2])
            self._squares[second] = self._squares.get(second, 0.0) + sum(map(mul, values, values)) / 32768.0**2
            self._counts[second] = self._counts.get(second, 0) + len(values)

    def between(self, start: float, end: float) -> float | None:
        """Mean of the levels of these seconds in dB below full scale; None when nothing was heard."""
        first, last = math.floor(start), max(math.floor(start) + 1, round(end))
        heard = [self._level(second) for second, count in self._counts.items() if count and first <= second < last]
        return round(sum(heard) / len(heard), 1) if heard else None

    def _level(self, second: int) -> float:
        return round(10 * math.log10(self._squares[second] / self._counts[second] + _SILENCE), 1)


def scenes_of(
    samples: Sequence[Sample], loudness: Loudness | None, starts_at: float, duration: float
) -> tuple[Scene, ...]:
    """Part the video at its cuts; never empty, and without samples it is one scene."""
    changes = [_change(earlier.pixels, later.pixels) for earlier, later in pairwise(samples)]
    cuts = [0]
    for index, change in enumerate(changes, start=1):
        if change > _CUT_THRESHOLD and samples[index].at - samples[cuts[-1]].at >= _SHORTEST_SCENE_SECONDS:
            cuts.append(index)
    scenes = []
    for number, first in enumerate(cuts):
        last = cuts[number + 1] if number + 1 < len(cuts) else len(samples)
        start = samples[first].at if samples and number else starts_at
        end = samples[last].at if last < len(samples) else starts_at + duration
        steady = [change for change in changes[first : max(first, last - 1)] if change <= _CUT_THRESHOLD]
        means = [_mean_colour(sample.pixels) for sample in samples[first:last]]
        red, green, blue = (_mean([mean[channel] for mean in means]) for channel in range(3))
        scenes.append(
            Scene(
                start=round(start, 2),
                end=round(end, 2),
                brightness=round((red + green + blue) / 3 / 255, 3),
                motion=round(min(1.0, _mean(steady) / 8), 3),
                colour=_colour_name(red, green, blue) if means else "no",
                loudness=loudness.between(start, end) if loudness is not None else None,
            )
        )
    return tuple(scenes)


def _change(earlier: bytes, later: bytes) -> float:
    total: int = sum(map(abs, map(sub, earlier, later)))
    return total / len(earlier)


def _mean_colour(pixels: bytes) -> tuple[float, float, float]:
    count = len(pixels) // 3
    return sum(pixels[0::3]) / count, sum(pixels[1::3]) / count, sum(pixels[2::3]) / count


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def _colour_name(red: float, green: float, blue: float) -> str:
    strongest = max(red, green, blue)
    if strongest - min(red, green, blue) < 18:
        return "grey"
    near = strongest * 0.8
    return {
        (True, False, False): "red",
        (False, True, False): "green",
        (False, False, True): "blue",
        (True, True, False): "yellow",
        (False, True, True): "cyan",
        (True, False, True): "magenta",
    }.get((red >= near, green >= near, blue >= near), "pale")
