"""Files of the odd kinds that cameras, phones and broadcasters produce, made by PyAV or written by hand."""

from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

SIZE = (400, 400)
RATE = 25


def make_clip(
    path: Path,
    *,
    seconds: float = 2.0,
    starts_at: float = 0.0,
    codec: str = "libx264",
    container: str | None = None,
    options: dict[str, str] | None = None,
    sound: bool = False,
    times: list[float] | None = None,
) -> Path:
    """A video whose clock begins at `starts_at`; `times` gives each frame's own time instead of a steady rate."""
    with av.open(str(path), "w", format=container, options=options or {}) as output:
        video = output.add_stream(codec, rate=RATE)
        video.width, video.height, video.pix_fmt = *SIZE, "yuv420p"
        ticks = RATE if codec == "mpeg2video" else 90_000
        video.time_base = video.codec_context.time_base = Fraction(1, ticks)
        audio = output.add_stream("aac", rate=48_000, layout="mono") if sound else None
        for at in times if times is not None else [number / RATE for number in range(round(seconds * RATE))]:
            picture = np.full((SIZE[1], SIZE[0], 3), 40 + int(at * 30) % 160, dtype=np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = round((at + starts_at) * ticks), Fraction(1, ticks)
            output.mux(video.encode(frame))
        output.mux(video.encode(None))
        if audio is not None:
            _add_sound(output, audio, seconds, starts_at, "mono")
    return path


def make_sound(path: Path, *, layout: str, codec: str, rate: int = 48_000, seconds: float = 1.0) -> Path:
    """A file with sound only."""
    with av.open(str(path), "w") as output:
        _add_sound(output, output.add_stream(codec, rate=rate, layout=layout), seconds, 0.0, layout)
    return path


def _add_sound(output: Any, stream: Any, seconds: float, starts_at: float, layout: str) -> None:
    rate, form = stream.codec_context.sample_rate, stream.codec_context.format.name
    channels = len(av.AudioLayout(layout).channels)
    resampler = av.AudioResampler(format=form, layout=layout, rate=rate)
    for number in range(round(seconds * rate / 1024)):
        values = (8000 * np.sin(np.arange(1024) / 20)).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(np.repeat(values, channels).reshape(1, -1), format="s16", layout=layout)
        frame.sample_rate, frame.time_base = rate, Fraction(1, rate)
        frame.pts = number * 1024 + round(starts_at * rate)
        for part in resampler.resample(frame):
            output.mux(stream.encode(part))
    output.mux(stream.encode(None))


def make_subtitles(path: Path) -> Path:
    """SubRip text, which is neither picture nor sound."""
    path.write_text("1\n00:00:01,000 --> 00:00:02,000\nHello\n", encoding="utf-8")
    return path


def boxes(data: bytes) -> list[tuple[bytes, int, int]]:
    """The top-level boxes of an MP4 as name, begin and end."""
    found, at = [], 0
    while at + 8 <= len(data):
        size, name = struct.unpack(">I4s", data[at : at + 8])
        end = at + max(size, 8)
        found.append((name, at, end))
        at = end
    return found


def without_box(data: bytes, name: bytes) -> bytes:
    """An MP4 whose box `name` was given a name that nobody knows."""
    for found, at, _ in boxes(data):
        if found == name:
            return data[: at + 4] + b"zzzz" + data[at + 8 :]
    raise LookupError(name)


def renamed(data: bytes, old: bytes, new: bytes) -> bytes:
    """Rename an inner box or a codec everywhere, as a codec that nobody can decode."""
    assert old in data
    return data.replace(old, new)


def with_matrix(data: bytes, values: tuple[int, ...]) -> bytes:
    """Another display matrix (nine numbers, 16.16 fixed point) for the first track."""
    at = data.index(b"tkhd") + 4 + 40
    return data[:at] + struct.pack(">9i", *values) + data[at + 36 :]


def huge_png(side: int) -> bytes:
    """The beginning of a PNG that claims `side` by `side` pixels of 8 bytes."""
    import zlib

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", side, side, 16, 6, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(100_000)))


def with_empty_edit(data: bytes, seconds: int) -> bytes:
    """Change the length of the empty edit that an MP4 made with `starts_at` begins with."""
    at = data.index(b"elst") + 12
    length, start = struct.unpack(">Ii", data[at : at + 8])
    assert start == -1
    assert length > 0
    return data[:at] + struct.pack(">I", seconds * 1000) + data[at + 4 :]


def with_later_fragments(data: bytes, seconds: int) -> bytes:
    """Move the clock of a fragmented MP4 forward."""
    moved = bytearray(data)
    (timescale,) = struct.unpack_from(">I", data, data.index(b"mdhd") + 4 + 12)
    at = data.find(b"tfdt")
    while at >= 0:
        form = ">Q" if data[at + 4] else ">I"
        (time,) = struct.unpack_from(form, data, at + 8)
        struct.pack_into(form, moved, at + 8, time + seconds * timescale)
        at = data.find(b"tfdt", at + 4)
    return bytes(moved)
