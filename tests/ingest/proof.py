"""The proof at full size: `python -m tests.ingest.proof [NOTIFICATIONS]`, on a broker of its own.

5,000 notifications with duplicates and out of order, without keys over three partitions; two processes, the one that
works killed twice on the way. Ends with an error unless each version has exactly one request. Prints the figures.
"""

from __future__ import annotations

import asyncio
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from service.sandbox.broker.broker import open_broker
from service.settings import load_settings
from tests.ingest.world import World, record_of, s3_event

RULE = 'name = "cams"\nprefix = "cams/"\nprompt = "What happens?"\nmatch = "cams/(?P<camera>[^/]+)/"\nkey = "{camera}"'


def notifications(count: int, rng: random.Random) -> tuple[list[bytes], set[tuple[str, str]]]:
    """So many records, of which nearly half are repetitions; and the versions that they name."""
    entries: list[dict[str, object]] = []
    versions: set[tuple[str, str]] = set()
    number = 0
    while len(entries) < count:
        key = f"cams/cam{number % 40}/{number:06}.mp4"
        for version in range(rng.choice((1, 1, 1, 2))):
            entry = s3_event(key, version=f"v{version}", sequencer=number * 10 + version)
            versions.add((f"s3://footage/{key}", f"v{version}"))
            entries.extend([entry] * rng.choice((1, 2, 3)))
        number += 1
    rng.shuffle(entries)
    return [record_of(entry) for entry in entries], versions


async def _working(world: World) -> str:
    """The name of the process that works, as soon as one does."""
    while True:
        for program in world.programs:
            try:
                if program.running and await world.metric(program.name, "reelwire_ingest_active") == 1:
                    return program.name
            except OSError:
                continue
        await asyncio.sleep(0.02)


async def _sent(world: World, name: str) -> float:
    try:
        return await world.metric(name, 'reelwire_ingest_notifications_total{outcome="sent"}')
    except OSError:
        return 0.0


async def _prove(world: World, count: int) -> None:
    records, versions = notifications(count, random.Random(11))
    rules = str(world.write_rules(RULE))
    programs = {name: world.program(name, "--rules", rules) for name in ("one", "two")}
    await asyncio.gather(*(program.start() for program in programs.values()))
    begun = time.monotonic()
    kills = []
    for part in range(3):
        name = await _working(world)
        begin, end = part * len(records) // 3, (part + 1) * len(records) // 3
        await asyncio.to_thread(world.send, records[begin:end])
        if part == 2:
            break
        while await _sent(world, name) < 50:  # it is in the middle of them
            await asyncio.sleep(0.005)
        kills.append(int(await _sent(world, name)))
        await programs[name].kill()
        await programs[name].start()
    deadline = time.monotonic() + 120
    while len(found := await world.requests()) < len(versions) and time.monotonic() < deadline:
        await asyncio.sleep(0.2)
    took = time.monotonic() - begun
    name = await _working(world)
    while await world.metric(name, 'reelwire_ingest_notifications_total{outcome="duplicate"}') < 1:
        await asyncio.sleep(0.1)
    await asyncio.sleep(2)  # whatever is still to come
    found = await world.requests()
    counts = Counter((one["video"]["uri"], one["metadata"]["ingest"]["version"]) for one in found)
    print(f"{len(records)} notifications of {len(versions)} versions; killed after {kills} requests sent; {took:.1f} s")
    print(f"{len(found)} requests, {len(counts)} versions, most for one version {max(counts.values())}")
    if set(counts) != versions or set(counts.values()) != {1}:
        sys.exit("not one request for each version")


async def _speed(world: World, count: int) -> None:
    """How long one process takes for notifications that wait already, in a world of their own."""
    records, versions = notifications(count, random.Random(12))
    await asyncio.to_thread(world.send, records)
    program = world.program("fast", "--rules", str(world.write_rules(RULE)))
    await program.start()
    await _working(world)
    begun = time.monotonic()
    while await _sent(world, "fast") < len(versions):
        await asyncio.sleep(0.02)
    took = time.monotonic() - begun
    print(f"{len(records)} notifications that wait: {took:.1f} s, {len(records) / took:.0f} a second")


async def main(count: int) -> None:
    """Both, on one broker."""
    broker = await open_broker(load_settings(), progress=print)
    try:
        for work in (_prove, _speed):
            world = World(broker.bootstrap_servers, Path(tempfile.mkdtemp(prefix="ingest-proof-")))
            await world.create()
            try:
                await work(world, count)
            finally:
                await world.stop()
    finally:
        await broker.stop()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 5_000))
