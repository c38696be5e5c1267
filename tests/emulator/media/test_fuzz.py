"""Files damaged at random, through the worker processes: each one ends. A failure is repeated by its seed."""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from service.emulator.media.footage import UnreadableFootage
from service.emulator.media.inspectors import Inspectors
from tests.emulator.media import odd_files as odd

FILES = int(os.environ.get("FUZZ_FILES", "300"))
SEED = int(os.environ.get("FUZZ_SEED", "1"))
_SECONDS = 35.0
"""Two tries of 15 seconds each, and the start of their workers."""


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


CHANGES: list[Callable[[bytearray, random.Random], None]] = [_bits, _numbers, _hole, _end]


def _damaged(whole: list[bytes], rng: random.Random) -> bytes:
    data = bytearray(rng.choice(whole))
    if rng.random() < 0.2:
        other = rng.choice(whole)
        data = data[: rng.randrange(len(data))] + other[rng.randrange(len(other)) :]
    else:
        rng.choice(CHANGES)(data, rng)
    return bytes(data)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    at = tmp_path_factory.mktemp("whole")
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


async def test_every_damaged_file_ends_with_measures_or_a_reason(whole: list[bytes], tmp_path: Path) -> None:
    inspectors = Inspectors(2, 15)
    rng = random.Random(SEED)
    numbers = iter(range(FILES))

    async def look(name: str) -> int:
        seen = 0
        for number in numbers:
            path = tmp_path / name
            path.write_bytes(_damaged(whole, rng))
            began = time.monotonic()
            try:
                footage = await inspectors.inspect(str(path), str(number))
                assert 0 <= footage.duration < float("inf")
                assert footage.scenes
            except UnreadableFootage:
                pass  # an end as good as any
            assert time.monotonic() - began < _SECONDS
            seen += 1
        return seen

    try:
        assert sum(await asyncio.gather(look("one"), look("two"))) == FILES
    finally:
        await inspectors.close()
