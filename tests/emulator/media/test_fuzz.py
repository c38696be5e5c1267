"""Files damaged at random, through the worker processes: each one ends. A failure is repeated by its seed."""

from __future__ import annotations

import asyncio
import os
import random
import time
from pathlib import Path

import pytest

from service.emulator.media.footage import UnreadableFootage
from service.emulator.media.inspectors import Inspectors
from tests.emulator.media.damage import damaged, whole_files

FILES = int(os.environ.get("FUZZ_FILES", "300"))
SEED = int(os.environ.get("FUZZ_SEED", "1"))
_SECONDS = 35.0
"""Two tries of 15 seconds each, and the start of their workers."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    return whole_files(tmp_path_factory.mktemp("whole"))


async def test_every_damaged_file_ends_with_measures_or_a_reason(whole: list[bytes], tmp_path: Path) -> None:
    inspectors = Inspectors(2, 15)
    rng = random.Random(SEED)
    numbers = iter(range(FILES))

    async def look(name: str) -> int:
        seen = 0
        for number in numbers:
            path = tmp_path / name
            path.write_bytes(damaged(whole, rng))
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
