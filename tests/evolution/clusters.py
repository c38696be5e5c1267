"""`python -m tests.evolution.clusters`: the ways of docs/howto/clusters.md to another cluster, tried with two brokers.

Prints what was seen; exit code 1 when a request was lost, ended twice, or was paid for again.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

import confluent_kafka

from contracts.topics import Role
from service.domain.job import Phase
from service.kafka.topics.admin import create_topics
from service.sandbox.broker.broker import open_broker
from service.sandbox.errors import ProgramError
from service.sandbox.system import System, own_names
from service.settings import Settings, load_settings
from tests.evolution.recording import Recorded, read_topics
from tests.evolution.scene import SETTINGS, Scene
from tests.harness.stage import BRISK, QUICK, Stage

_COPIED = (Role.JOBS, Role.FINISHED, Role.ASSETS, Role.LEDGER)
"""What a mirror has to copy, when the service stands still: what it knows of requests and videos."""


class Wrong(list[str]):
    """What was not as the page says."""

    def hold(self, what: str, holds: object) -> None:
        """Note whether it holds, and tell it."""
        print(f"  {'yes' if holds else 'NO '}  {what}")
        if not holds:
            self.append(what)


def stage_on(servers: str, names: str, folder: Path, platform: Stage | None = None) -> Stage:
    """A stage on a cluster; with `platform` it has that one's emulator and videos."""
    videos = platform.videos if platform else folder / "videos"
    videos.mkdir(parents=True, exist_ok=True)
    environment = {**QUICK, **own_names(names), **SETTINGS}
    if platform is not None:
        environment["REELWIRE_PLATFORM__BASE_URL"] = platform.system.environment["REELWIRE_PLATFORM__BASE_URL"]
    system = System(servers, folder=folder, environment=environment, file_roots=(videos,))
    return Stage(system, videos)


def write(settings: Settings, records: Iterable[Recorded]) -> None:
    """Write records to the same topics and partitions of another cluster, as a mirror does: with other offsets."""
    producer = confluent_kafka.Producer({"bootstrap.servers": settings.kafka.bootstrap_servers})
    for record in records:
        topic = getattr(settings.topics, record.role)
        producer.produce(topic, record.value, record.key, record.partition, headers=list(record.headers))
    producer.flush()


async def side_by_side(old: str, new: str, folder: Path, wrong: Wrong) -> None:
    """Both work at once: requests of before end on the old cluster, those of after begin on the new one."""
    print("side by side")
    first = stage_on(old, "beside", folder / "old")
    await first.system.start()
    await first.system.pace(**BRISK)
    await first.system.serve()
    clip, before = first.clip(), ["beside-task", "beside-stream"]
    await first.system.fault(
        {"operation": "task_create", "contains": before[0], "do": {"task_seconds": 3_600}},
        {"operation": "analyze_stream", "contains": before[1], "do": {"fragments": 200, "interval_ms": 100}},
    )
    for name, mode in zip(before, ("async", "stream"), strict=True):
        await first.request_producer.send(first.analyze(name, clip, mode=mode))
    async with first.watching() as observer:
        await observer.until(lambda: observer.events(before[0], "task_created") and observer.fragments[before[1], 1])

    second = stage_on(new, "beside", folder / "new", first)
    await create_topics(second.system.settings())
    await second.system.serve("new")
    await second.request_producer.send(second.analyze("after", clip, mode="stream"))
    await second.request_producer.send({"type": "cancel", "request_id": before[0]})
    async with second.watching() as observer:
        await observer.until_ended(["after"])
        await observer.until(lambda: observer.events(before[0], "cancel_ignored"))
        kind = (observer.completion("after") or {})["type"]
        wrong.hold("a new request ends on the new cluster", kind == "completed")
        ignored = observer.events(before[0], "cancel_ignored")
        wrong.hold("a cancel on the new cluster knows nothing of requests on the old one", ignored)
    uploads = (await first.system.stats())["assets"]["by_sha256"]
    wrong.hold("its video is not uploaded again", [len(assets) for assets in uploads.values()] == [1])
    await first.system.finish()
    seen = await first.ended(*before)
    ends = [record.type for name in before for record in seen.completions[name]]
    wrong.hold("requests of before end on the old cluster, once", ends == ["completed"] * 2)
    promises = await first.broken_promises()
    wrong.hold(f"no promise is broken on the old cluster {promises or ''}", not promises)
    await second.system.stop()
    await first.system.stop()


async def copied(old: str, new: str, folder: Path, wrong: Wrong) -> None:
    """The service stands still, its topics are copied, and it goes on with the running jobs on the new cluster."""
    print("copied")
    first = stage_on(old, "copied", folder / "old")
    await first.system.start()
    await first.system.pace(**BRISK)
    program = await first.system.serve()
    scene = Scene(first, "copied")
    await scene.play()
    wrong.hold("the service ends in order", await program.stop() == 0)

    second = stage_on(new, "copied", folder / "new", first)
    settings = second.system.settings()
    await create_topics(settings)
    records = await read_topics(first.system.settings(), _COPIED)
    await asyncio.to_thread(write, settings, records)
    await scene.release()
    await second.system.serve("new")
    await scene.release()
    async with second.watching() as observer:
        await observer.until_ended(scene.held)
        ends = {name: [record.type for record in observer.completions[name]] for name in scene.held}
        print("   ", ends)
        wrong.hold("every job goes on and ends once", all(len(kinds) == 1 for kinds in ends.values()))
        tasks = (await first.system.stats())["tasks"]["by_custom_id"]
        for name, phase in scene.held.items():
            if phase in (Phase.WATCHING, Phase.CREATING, Phase.CANCELING):
                made = sum(len(ids) for custom_id, ids in tasks.items() if custom_id.startswith(f"{name}-"))
                wrong.hold(f"{name}, which was {phase}, has one task", made == 1)
        again = scene.id("called")
        paid = len(await first.billable(again))
        body = first.analyze(again, first.videos / "clip-1.mp4", mode="sync")
        place = next(one.partition for one in records if one.key == again.encode())
        await second.request_producer.send(body, partition=place)
        await observer.until(lambda: observer.events(again, "duplicate"), "a duplicate")
        wrong.hold(
            "a request that ended before is known and not paid for again", len(await first.billable(again)) == paid
        )
        wrong.hold("its completion stays on the old cluster", not observer.completions.get(again))
    await second.system.stop()
    await first.system.stop()


async def main() -> int:
    """Try both ways."""
    folder = Path(tempfile.mkdtemp(prefix="reelwire-clusters-"))
    old, new = [await open_broker(load_settings()) for _ in range(2)]
    wrong = Wrong()
    try:
        for way in (side_by_side, copied):
            try:
                await way(old.bootstrap_servers, new.bootstrap_servers, folder / way.__name__, wrong)
            except ProgramError as error:
                wrong.hold(str(error), holds=False)
    finally:
        await old.stop()
        await new.stop()
    print(f"logs in {folder}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
