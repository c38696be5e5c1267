"""Draws a video: scenes with moving shapes on tinted ground, tones and bursts of noise.

The same arguments give the same pictures and sound.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

_RATE = 24_000
_FRAME_SAMPLES = 1024


@dataclass(frozen=True, slots=True)
class _Look:
    """One scene: its ground, its shapes and its sound."""

    ground: Any
    shapes: tuple[tuple[Any, float, float, float, float, float], ...]
    """Each: colour, size, x and y at the start, speed in x and y (fractions of the picture, per second)."""
    hertz: float
    loudness: float
    noisy: bool


def make_video(
    path: Path,
    *,
    seed: int = 0,
    seconds: float = 4.0,
    size: tuple[int, int] = (360, 360),
    fps: int = 10,
    scenes: int = 2,
    sound: bool = True,
) -> Path:
    """Write an MP4 to `path` and return it. Another `seed` makes other content; `size` is width and height, both even.

    A clip of 4 seconds at 360x360 takes about a tenth of a second.
    """
    width, height = size
    rng = np.random.default_rng(seed)
    first_tint = int(rng.integers(6))
    looks = [_look(rng, first_tint + number) for number in range(max(1, scenes))]
    with av.open(str(path), "w", format="mp4") as container:
        video = _video_stream(container, width, height, fps)
        audio = container.add_stream("aac", rate=_RATE, layout="mono") if sound else None
        if audio is not None:
            audio.bit_rate = 48_000
        frames = max(1, round(seconds * fps))
        length = seconds / len(looks)
        rows, columns = _grid(width, height)
        for number in range(frames):
            at = number / fps
            scene = min(int(at / length), len(looks) - 1)
            picture = _picture(looks[scene], at - scene * length, rows, columns)
            frame = av.VideoFrame.from_ndarray(_planes(picture), format="yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, fps)
            container.mux(video.encode(frame))
        container.mux(video.encode())
        if audio is not None:
            _sound(container, audio, looks, seconds, rng)
    return path


def _video_stream(container: Any, width: int, height: int, fps: int) -> Any:
    codec = "libx264" if "libx264" in av.codecs_available else "mpeg4"
    video = container.add_stream(codec, rate=fps)
    video.width, video.height, video.pix_fmt = width, height, "yuv420p"
    if codec == "libx264":
        # With other presets or more threads, the same pictures did not give the same bytes each time.
        video.options = {"preset": "ultrafast", "crf": "27", "threads": "1"}
    else:
        video.bit_rate = 400_000
    return video


def _look(rng: Any, tint: int) -> _Look:
    tints = np.array([[38, 70, 130], [190, 90, 40], [30, 110, 60], [150, 150, 155], [110, 40, 110], [200, 180, 60]])
    ground = np.clip(tints[tint % len(tints)] + rng.integers(-20, 21, 3), 0, 255)
    shapes = tuple(
        (
            rng.integers(0, 256, 3),
            float(rng.uniform(0.06, 0.16)),
            float(rng.uniform(0, 1)),
            float(rng.uniform(0, 1)),
            float(rng.uniform(-0.35, 0.35)),
            float(rng.uniform(-0.25, 0.25)),
        )
        for _ in range(int(rng.integers(1, 5)))
    )
    hertz = float(rng.choice([220.0, 277.2, 329.6, 440.0, 554.4]))
    return _Look(ground, shapes, hertz, float(rng.uniform(0.05, 0.4)), bool(rng.integers(2)))


def _grid(width: int, height: int) -> tuple[Any, Any]:
    rows = np.linspace(0, 1, height, dtype=np.float32)[:, None]
    columns = np.linspace(0, 1, width, dtype=np.float32)[None, :]
    return rows, columns


def _picture(look: _Look, at: float, rows: Any, columns: Any) -> Any:
    shade = (0.75 + 0.25 * rows)[:, :, None]
    picture = np.broadcast_to(look.ground * shade, (rows.shape[0], columns.shape[1], 3)).astype(np.uint8)
    for colour, size, x, y, dx, dy in look.shapes:
        inside = (np.abs(columns - _bounced(x + dx * at)) < size) & (np.abs(rows - _bounced(y + dy * at)) < size)
        picture[inside] = colour
    return picture


def _planes(picture: Any) -> Any:
    """RGB as planar YUV 4:2:0. Done here, because the library's conversion does not give the same bytes each time."""
    red, green, blue = (picture[:, :, channel].astype(np.float32) for channel in range(3))
    luma = 16 + 0.257 * red + 0.504 * green + 0.098 * blue
    red, green, blue = (channel[::2, ::2] for channel in (red, green, blue))
    first = 128 - 0.148 * red - 0.291 * green + 0.439 * blue
    second = 128 + 0.439 * red - 0.368 * green - 0.071 * blue
    planes = np.concatenate([luma.ravel(), first.ravel(), second.ravel()])
    return planes.astype(np.uint8).reshape(picture.shape[0] * 3 // 2, picture.shape[1])


def _bounced(place: float) -> float:
    """`place` reflected at 0 and 1."""
    place %= 2.0
    return 2.0 - place if place > 1.0 else place


def _sound(container: Any, audio: Any, looks: list[_Look], seconds: float, rng: Any) -> None:
    total = int(seconds * _RATE)
    at = np.arange(total) / _RATE
    length = seconds / len(looks)
    wave = np.zeros(total)
    for number, look in enumerate(looks):
        inside = (at >= number * length) & (at < (number + 1) * length)
        beat = 0.6 + 0.4 * np.sin(2 * np.pi * 1.5 * at[inside])
        source = rng.uniform(-1, 1, int(inside.sum())) if look.noisy else np.sin(2 * np.pi * look.hertz * at[inside])
        wave[inside] = look.loudness * beat * source
    pcm = np.clip(wave, -1, 1).astype(np.float32)
    # Whole frames only: for a short last frame the encoder reads beyond the buffer.
    for start in range(0, total - _FRAME_SAMPLES + 1, _FRAME_SAMPLES):
        part = pcm[start : start + _FRAME_SAMPLES]
        frame = av.AudioFrame.from_ndarray(part[None, :], format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = _RATE, start, Fraction(1, _RATE)
        container.mux(audio.encode(frame))
    container.mux(audio.encode())
