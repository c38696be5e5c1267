"""Memory that was used once is given back to the system."""

from __future__ import annotations

import subprocess
import sys

import pytest

_PROGRAM = """
import asyncio, psutil
from service import memory

def resident():
    return psutil.Process().memory_info().rss / 1e6

async def main():
    memory.give_memory_back()
    before = resident()
    blocks = [bytes(40_000) for _ in range(2_000)]
    kept = blocks[::50]
    del blocks
    after_use = resident()
    memory._TRIM_SECONDS = 0.0
    giving = asyncio.create_task(memory.keep_giving_back())
    for _ in range(200):
        await asyncio.sleep(0.01)
        if resident() < before + 40:
            break
    giving.cancel()
    print(after_use - before, resident() - before, len(kept))

asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc can be told to give memory back")
def test_free_pages_between_blocks_that_are_kept_are_returned() -> None:
    made = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=True, timeout=60)
    used, left, kept = (float(word) for word in made.stdout.split())
    assert used > 60
    assert left < 40
    assert kept == 40
