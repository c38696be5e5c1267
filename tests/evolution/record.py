"""`python -m tests.evolution.record PYTHON FOLDER`: what a version writes into all topics, with jobs in each phase.

PYTHON is the interpreter in whose environment that version is installed. FOLDER gets `records.gz` and the platform's
journal, for `test_records.py`.
"""

from __future__ import annotations

import asyncio
import shutil
import sys
import tempfile
from pathlib import Path

from service.sandbox.broker.broker import open_broker
from service.sandbox.system import System, own_names
from service.settings import load_settings
from tests.evolution.earlier import Earlier
from tests.evolution.recording import save
from tests.evolution.scene import SETTINGS, Scene
from tests.harness.stage import BRISK, QUICK, Stage

VIDEOS = "/tmp/reelwire-recorded"
"""Where the videos are, as the requests name them."""

NAMES = "recorded"
"""What the names of topics and group begin with."""


async def record(python: Path, folder: Path) -> str:
    """Record what the version of `python` writes; returns what it calls itself."""
    folder.mkdir(parents=True, exist_ok=True)
    videos = Path(VIDEOS)
    shutil.rmtree(videos, ignore_errors=True)
    videos.mkdir()
    broker = await open_broker(load_settings())
    environment = {**QUICK, **own_names(NAMES), **SETTINGS}
    work = Path(tempfile.mkdtemp(prefix="reelwire-record-"))
    system = System(broker.bootstrap_servers, folder=work, environment=environment, file_roots=(videos,))
    try:
        stage = Stage(system, videos)
        earlier = Earlier(stage, python)
        version = await earlier.begin()
        await system.emulator.start()
        await system.emulator.ready(f"{system.emulator_url}/_emulator/stats")
        await system.pace(**BRISK)
        program = await earlier.serve()
        records = await Scene(stage).play()
        await program.kill()
        await system.emulator.stop()
        save(records, folder / "records.gz")
        shutil.copytree(work / "emulator", folder / "platform", dirs_exist_ok=True)
        return version
    finally:
        await system.stop()
        await broker.stop()
        shutil.rmtree(videos, ignore_errors=True)
        print(f"logs in {work}", file=sys.stderr)


if __name__ == "__main__":
    print(asyncio.run(record(Path(sys.argv[1]), Path(sys.argv[2]))))
