"""Damages files at random: bits, numbers of containers, holes, missing ends, and one file grown into another."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

from tests.emulator.media import odd_files as odd


def whole_files(at: Path) -> list[bytes]:
    """Small files of the kinds to be damaged, made in the folder `at`."""
    made = [
        odd.make_clip(at / "a.mp4", seconds=0.5, sound=True),
        odd.make_clip(at / "b.mp4", seconds=0.5, options={"movflags": "frag_keyframe+empty_moov"}),
        odd.make_clip(at / "c.ts", seconds=0.5, starts_at=90, sound=True),
        odd.make_clip(at / "d.mkv", seconds=0.5, times=[0, 0.1, 1.5]),
        odd.make_clip(at / "e.mpg", seconds=0.5, codec="mpeg2video"),
        odd.make_sound(at / "f.mkv", layout="7.1", codec="flac", seconds=0.3),
        odd.make_sound(at / "g.wav", layout="7.1", codec="pcm_s16le", seconds=0.1),
        odd.make_subtitles(at / "h.srt"),
    ]
    return [path.read_bytes() for path in made]


def _bits(data: bytearray, rng: random.Random) -> None:
    for _ in range(rng.choice([1, 5, 50, 500])):
        data[_place(data, rng)] ^= 1 << rng.randrange(8)


def _numbers(data: bytearray, rng: random.Random) -> None:
    odd_number = rng.choice([b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\x80\0\0\0", b"\0\0\0\x08"])
    for _ in range(rng.choice([1, 3, 20])):
        at = _place(data, rng)
        data[at : at + 4] = odd_number


def _hole(data: bytearray, rng: random.Random) -> None:
    at = _place(data, rng)
    del data[at : at + rng.randint(1, 64)]


def _end(data: bytearray, rng: random.Random) -> None:
    del data[rng.randrange(len(data)) :]


def _place(data: bytearray, rng: random.Random) -> int:
    """Often near an end, where containers keep their tables."""
    at = rng.randrange(min(len(data), rng.choice([64, 512, 4096, len(data)])))
    return len(data) - 1 - at if rng.random() < 0.3 else at


_CHANGES: list[Callable[[bytearray, random.Random], None]] = [_bits, _numbers, _hole, _end]


def damaged(whole: list[bytes], rng: random.Random) -> bytes:
    """One of the files with one kind of damage."""
    data = bytearray(rng.choice(whole))
    if rng.random() < 0.2:
        other = rng.choice(whole)
        data = data[: rng.randrange(len(data))] + other[rng.randrange(len(other)) :]
    else:
        rng.choice(_CHANGES)(data, rng)
    return bytes(data)
