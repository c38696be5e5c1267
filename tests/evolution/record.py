"""`python -m tests.evolution.record PYTHON FOLDER`: what a version writes into all topics, with jobs in each phase.

PYTHON is the interpreter in whose environment that version is installed. FOLDER gets `records.gz`, and with what the
platform knew `platform.tar.gz`, for `test_records.py`.
"""

from __future__ import annotations

import asyncio
import gzip
import io
import os
import shutil
import signal
import sys
import tarfile
import tempfile
from pathlib import Path

from contracts.topics import Role
from service.kafka.logs.session_note import SESSION_PREFIX
from service.sandbox.broker.broker import open_broker
from service.sandbox.program import Program
from service.sandbox.system import System, own_names
from service.settings import load_settings
from tests.evolution.earlier import Earlier
from tests.evolution.recording import latest, read_topics, save
from tests.evolution.scene import HELD_SECONDS, SETTINGS, Scene
from tests.harness.stage import BRISK, QUICK, Stage

VIDEOS = "/tmp/reelwire-recorded"
"""Where the videos are, as the requests name them."""

NAMES = "recorded"
"""What the names of topics and group begin with."""


MORE = {
    "REELWIRE_QUOTA__REQUESTS_PER_MINUTE": "100000",
    "REELWIRE_QUOTA__VIDEO_MINUTES_PER_HOUR": "100000",
    "REELWIRE_QUOTA__OUTPUT_TOKENS_PER_DAY": "100000000",
    "REELWIRE_QUOTA__MAX_RUNNING": "1000",
    "REELWIRE_COST__PER_MINUTE": "0.05",
    "REELWIRE_COST__DAILY_LIMIT": "100000",
    "REELWIRE_PLATFORM__SESSION_FROM_BYTES": "100000",
}
"""So that all kinds of records are written. What a version does not know is left out for it."""

_LARGE_BYTES = 300_000
_CHUNK_BYTES = 65_536
_CHECK_SECONDS = 0.5


async def record(python: Path, folder: Path) -> str:
    """Record what the version of `python` writes; returns what it calls itself."""
    folder.mkdir(parents=True, exist_ok=True)
    videos = Path(VIDEOS)
    shutil.rmtree(videos, ignore_errors=True)
    videos.mkdir()
    broker = await open_broker(load_settings())
    environment = {**QUICK, **own_names(NAMES), **SETTINGS, **MORE}
    work = Path(tempfile.mkdtemp(prefix="reelwire-record-"))
    system = System(
        broker.bootstrap_servers,
        folder=work,
        environment=environment,
        file_roots=(videos,),
        emulator_options=("--chunk-bytes", str(_CHUNK_BYTES)),
    )
    try:
        stage = Stage(system, videos)
        earlier = Earlier(stage, python)
        version = await earlier.begin()
        await system.emulator.start()
        await system.emulator.ready(f"{system.emulator_url}/_emulator/stats")
        await system.pace(**BRISK)
        newer = earlier.knows("REELWIRE_TOPICS__HANDOVERS")
        program = await (_handed_over(stage, earlier) if newer else earlier.serve())
        scene = Scene(stage, "now" if newer else "")
        await scene.play()
        if newer:
            await _session_and_pause(stage, earlier, scene)
        await program.kill()
        await system.emulator.stop()
        save(await read_topics(system.settings()), folder / "records.gz")
        (folder / "platform.tar.gz").write_bytes(_packed(work / "emulator"))
        return version
    finally:
        await system.stop()
        await broker.stop()
        shutil.rmtree(videos, ignore_errors=True)
        print(f"logs in {work}", file=sys.stderr)


async def _handed_over(stage: Stage, earlier: Earlier) -> Program:
    """Move a stream from one process to another, so that there are notes of it; returns the second process."""
    first = await earlier.serve("first")
    name = "moved"
    await stage.system.fault(
        {"operation": "analyze_stream", "contains": f"{name}: ", "do": {"fragments": 30, "interval_ms": 100}}
    )
    body = stage.analyze(name, stage.clip(), mode="stream")
    await stage.request_producer.send(body, partition=0)
    async with stage.watching() as observer:
        await observer.until(lambda: len(observer.fragments[name, 1]) > 20)
        first.send(signal.SIGTERM)
        second = await earlier.serve("second")
        await observer.until_ended([name])
    await first.ended()
    return second


async def _session_and_pause(stage: Stage, earlier: Earlier, scene: Scene) -> None:
    """An upload session that is under way, a pause, and tasks that are gathered."""
    await earlier.command("pause", "--tenant", "archive")
    large = stage.clip()
    os.truncate(large, _LARGE_BYTES)
    await stage.system.fault({"operation": "chunk_put", "skip": 1, "do": {"delay_seconds": HELD_SECONDS}})
    await stage.request_producer.send(stage.analyze(scene.id("session"), large, mode="async"), partition=0)
    settings = stage.system.settings()
    async with asyncio.timeout(60):
        while not any(key.startswith(SESSION_PREFIX) for key in latest(await read_topics(settings), Role.ASSETS)):
            await asyncio.sleep(_CHECK_SECONDS)


def _packed(folder: Path) -> bytes:
    """A folder as an archive: always the same bytes for the same contents."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                entry = tarfile.TarInfo(str(path.relative_to(folder)))
                entry.size = path.stat().st_size
                archive.addfile(entry, io.BytesIO(path.read_bytes()))
    return gzip.compress(raw.getvalue(), mtime=0)


if __name__ == "__main__":
    print(asyncio.run(record(Path(sys.argv[1]), Path(sys.argv[2]))))
