"""Records two histories from a real run, one for each isolation level: `python -m tests.kits.record_histories`.

A broker, the emulator and the service, which is killed in mid-stream. What is expected of the ends is read from the
completions topic alone; the changes in the order of the file are what the Python kit says, for the other to repeat.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import uuid
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

from contracts.topics import Role
from kits.history import HISTORIES, History, lines_of
from reelwire_client import Assembler
from reelwire_client.events import TOPICS
from reelwire_client.records import Record, headers_of
from service.sandbox.broker.broker import open_broker
from service.sandbox.system import System, own_names
from service.settings import load_settings
from tests.harness.evidence import Record as Seen
from tests.harness.observer import Isolation, Observer
from tests.harness.stage import BRISK, QUICK, Stage

_SLOWLY = "[[emulate: fragments=12 interval_ms=60]]"
_KILLED = ("cam7-5", "cam7-6")


async def record(stage: Stage, isolation: Isolation, done: asyncio.Event) -> list[Seen]:
    """Read live, beside what happens, until it is over and everything was read."""
    async with Observer(stage.system.settings(), isolation) as observer:
        while not done.is_set():
            await observer.read()
    everything = await Observer.of_everything(stage.system.settings(), isolation)
    seen = {(one.role, one.position) for one in observer.records}
    return [*observer.records, *(one for one in everything.records if (one.role, one.position) not in seen)]


async def play(stage: Stage) -> None:
    """What happens in the recording."""
    clip = stage.clip()
    send = stage.request_producer.send
    await stage.answer(stage.analyze("cam7-1", clip, mode="stream", metadata={"dock": 4}), key="cam7")
    await stage.answer(stage.analyze("cam7-2", clip, mode="sync"), key="cam7")
    await stage.answer(stage.analyze("cam8-3", clip, mode="async", tenant="harbour"), key="cam8")
    missing = {"video": {"type": "asset_id", "asset_id": "66f0a1b2c3d4e5f601234567"}, "mode": "stream"}
    await stage.answer(stage.analyze("cam8-4") | missing, key="cam8")
    for name, wish in zip(_KILLED, ("restart", "async"), strict=True):
        request = stage.analyze(name, clip, mode="stream", on_interrupt=wish, prompt=f"{name}: {_SLOWLY}")
        await send(request, key="cam7")
    async with stage.watching() as observer:
        await observer.until(lambda: all(len(observer.fragments[name, 1]) > 4 for name in _KILLED))
        await stage.system.service().kill()
        await stage.system.serve()
        await observer.until_ended(_KILLED)
        await send(stage.analyze("cam8-7", clip, mode="stream", prompt=f"cam8-7: {_SLOWLY}"), key="cam8")
        await observer.until(lambda: len(observer.fragments["cam8-7", 1]) > 4)
        await send({"type": "cancel", "request_id": "cam8-7"}, key="cam8")
        await observer.until_ended(["cam8-7"])
        await send(stage.analyze("cam7-1", clip, mode="stream", metadata={"dock": 4}), key="cam7")
        await send({"type": "cancel", "request_id": "nobody"}, key="cam7")
        await send({"request_id": "cam7-9"}, key="cam7")
        await observer.until(lambda: observer.dead_letters and len(observer.completions["cam7-1"]) == 2)
        await send(stage.analyze("cam7-1", clip, mode="stream", run=2), key="cam7")
        await observer.until(lambda: len(observer.completions["cam7-1"]) == 3)


def history_of(name: str, about: str, seen: list[Seen], stage: Stage) -> History:
    """The records without what is of one machine, and what is expected of them."""
    topics = stage.system.settings().topics
    shown = {str(stage.videos): "/srv/videos", topics.requests: TOPICS["requests"]}
    records = [
        Record(
            one.partition,
            _plain(one.value, shown),
            headers_of([(header, _plain(value, shown)) for header, value in one.headers]),
            topic=TOPICS[one.role],
        )
        for one in seen
        if one.role is not Role.REQUESTS
    ]
    assembler = Assembler()
    changes = [change for one in records for change in assembler.take(one)]
    return History(name, about, records, lines_of(changes), _ends(records))


def _plain(value: bytes | None, shown: dict[str, str]) -> bytes | None:
    for machine, plain in shown.items():
        value = value and value.replace(machine.encode(), plain.encode())
    return value


def _ends(records: list[Record]) -> dict[str, list[list[str | None]]]:
    ends: dict[str, list[list[str | None]]] = defaultdict(list)
    known = set()
    for one in records:
        name = one.header("ce_source"), one.header("ce_id")
        if one.topic == TOPICS["completions"] and name not in known:
            known.add(name)
            body = json.loads(one.value or b"")
            text = body["text"] if body["type"] == "completed" else None
            ends[f"{one.partition}/{body['request_id']}/{body['run']}"].append([body["type"], text])
    return dict(ends)


async def main() -> None:
    """Write both files."""
    broker = await open_broker(load_settings(), progress=lambda message: print(message, file=sys.stderr))
    with tempfile.TemporaryDirectory() as folder:
        videos = Path(folder) / "videos"
        videos.mkdir()
        names = own_names(f"t{uuid.uuid4().hex[:12]}", partitions=2)
        system = System(
            broker.bootstrap_servers,
            folder=Path(folder) / "system",
            environment={**QUICK, **names},
            file_roots=(videos,),
        )
        try:
            await system.start()
            await system.pace(**BRISK)
            await system.serve()
            stage, done = Stage(system, videos), asyncio.Event()
            recordings = [
                asyncio.create_task(record(stage, "read_committed", done)),
                asyncio.create_task(record(stage, "read_uncommitted", done)),
            ]
            await play(stage)
            done.set()
            for isolation, recording in zip(("committed", "uncommitted"), recordings, strict=True):
                about = f"Recorded with read_{isolation}: ten requests, and a service that is killed in mid-stream."
                made = history_of(f"recorded_{isolation}", about, await recording, stage)
                (HISTORIES / f"{made.name}.json").write_text(replace(made).text(), encoding="utf-8", newline="\n")
        finally:
            await system.stop()
            await broker.stop()


if __name__ == "__main__":
    asyncio.run(main())
