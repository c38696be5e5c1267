"""`python -m tests.evolution.trial PYTHON`: an upgrade from an earlier version, and the way back, with work under way.

PYTHON is the interpreter in whose environment the earlier version is installed. Each of the two goes over to the other
twice, once killed and once ended in order. Prints what became of each request; exit code 1 when one was lost, ended
twice, or was paid for more often than a crash of the same version would have it.
"""

from __future__ import annotations

import asyncio
import shutil
import sys
import tempfile
from pathlib import Path

from contracts.topics import Role
from service.domain.job import Phase
from service.kafka.topics.admin import create_topics
from service.sandbox.broker.broker import open_broker
from service.sandbox.program import Program
from service.sandbox.system import System, own_names
from service.settings import load_settings
from tests.evolution.earlier import Earlier
from tests.evolution.recording import latest, read_topics
from tests.evolution.scene import SETTINGS, Scene
from tests.harness.stage import BRISK, QUICK, Stage

_PAID_AGAIN = {Phase.STREAMING, Phase.CALLING}
"""What runs in a process that dies is cut off; it is begun once more, and counted."""


async def trial(servers: str, python: Path, *, forward: bool, orderly: bool) -> list[str]:
    """One change of versions on topics of its own. Returns what went wrong."""
    way = f"{'up' if forward else 'down'}-{'ended' if orderly else 'killed'}"
    folder = Path(tempfile.mkdtemp(prefix=f"reelwire-trial-{way}-"))
    videos = folder / "videos"
    videos.mkdir()
    environment = {**QUICK, **own_names(way), **SETTINGS}
    system = System(servers, folder=folder, environment=environment, file_roots=(videos,))
    stage = Stage(system, videos)
    earlier = Earlier(stage, python)
    try:
        version = await earlier.begin()
        await system.emulator.start()
        await system.emulator.ready(f"{system.emulator_url}/_emulator/stats")
        await system.pace(**BRISK)
        if not forward:
            await create_topics(system.settings())
        scene = Scene(stage, "" if forward else way)
        first = await (earlier.serve() if forward else system.serve())
        await scene.play()
        code = await _end(first, orderly=orderly)
        if forward:
            await create_topics(system.settings())
        await scene.release()
        await (system.serve() if forward else earlier.serve())
        await scene.release()  # tasks that were made a moment ago
        wrong = await _judge(stage, scene)
        to = "to" if forward else "from"
        print(f"{way}: {version} {to} today's, the first one ended with {code}; logs in {folder}\n")
        return wrong
    finally:
        await system.stop()
        if not sys.argv[2:]:
            shutil.rmtree(videos, ignore_errors=True)


async def _end(program: Program, *, orderly: bool) -> int:
    if orderly:
        return await program.stop()
    await program.kill()
    return await program.ended()


async def _judge(stage: Stage, scene: Scene) -> list[str]:
    wrong: list[str] = []
    wanted = [*scene.held, *scene.ended]
    try:
        seen = await stage.ended(*wanted, seconds=60)
    except Exception as error:  # noqa: BLE001 - what is missing is part of the result
        wrong.append(str(error))
        async with stage.watching() as seen:
            await seen.until(lambda: all(seen.completions[name] for name in scene.ended))
    for name in wanted:
        ends = seen.completions[name]
        kinds = [record.type for record in ends]
        paid = await _paid(stage, name)
        phase = scene.held.get(name)
        print(f"  {name:<28} held {phase or '-':<10} ended {kinds} attempt {[e.attempt for e in ends]} paid {paid}")
        most = 2 if phase in _PAID_AGAIN or name.endswith("cut") else 1
        if len(kinds) != 1:
            wrong.append(f"{name} ended as {kinds}")
        if paid > most:
            wrong.append(f"{name} was paid for {paid} times")
    records = await read_topics(stage.system.settings(), [Role.JOBS])
    left = [key.decode() for key in latest(records, Role.JOBS) if not key.startswith(b"!")]
    if left:
        wrong.append(f"jobs that are left: {left}")
    letters = [letters[0].header("dlq.error.message") for letters in seen.dead_letters.values()]
    if len(letters) != 1:
        wrong.append(f"dead letters: {letters}")
    return wrong + await stage.broken_promises()


async def _paid(stage: Stage, name: str) -> int:
    """How many analyses the platform began: streams and calls, and tasks that it made."""
    calls = [post for post in await stage.billable(name) if post["operation"] != "task_create"]
    tasks = (await stage.system.stats())["tasks"]["by_custom_id"]
    return len(calls) + sum(len(made) for custom, made in tasks.items() if name.removeprefix("_") in custom)


async def _all(python: Path) -> int:
    broker = await open_broker(load_settings())
    wrong: list[str] = []
    try:
        for forward in (True, False):
            for orderly in (False, True):
                found = await trial(broker.bootstrap_servers, python, forward=forward, orderly=orderly)
                print(*(f"  WRONG: {one}" for one in found), sep="\n")
                wrong += found
    finally:
        await broker.stop()
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(_all(Path(sys.argv[1]))))
