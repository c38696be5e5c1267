"""What rolling restarts cost: `python -m benchmarks.rolling`. Real processes, a real broker, the emulator.

Streams (or calls) arrive at a steady rate while one process after the other is restarted: SIGTERM, and the next one
is started at once. Counted: calls that the platform would bill, attempts of the completions, and, with probes that are
sent to every partition, how long a request waits to be accepted. Uses the broker of
`REELWIRE_KAFKA__BOOTSTRAP_SERVERS`, else one of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import signal
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import orjson
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from contracts.topics import Role
from service.cli.reading.event_reader import event_reader
from service.kafka.connecting.connection import producer_options
from service.sandbox.broker.broker import Broker, open_broker
from service.sandbox.footage import sample_video
from service.sandbox.system import System, own_names
from service.settings import load_settings

_PARTITIONS = 6
_BILLED = frozenset({"analyze_stream", "analyze_sync", "task_create"})
_PROBE = "probe-"


@dataclass(frozen=True, slots=True)
class Plan:
    """The size of a run, and what is done to the processes."""

    requests: int = 180
    rate: float = 2.0
    seconds: float = 30.0
    mode: str = "stream"
    processes: int = 4
    restarts: int = 7
    every: float = 15.0
    drain: float = 60.0
    scale: bool = False
    cancel_every: int = 0
    outage: float = 0.0
    probe_ms: float = 200.0  # more often, and the probes are what the machine is busy with

    def counts(self) -> Iterator[int]:
        """With `scale`: how many processes there are, one step after the other: out from 1 to all, and in again."""
        up = list(range(1, self.processes + 1))
        return itertools.islice(itertools.cycle([*up, *up[-2:0:-1]]), self.restarts + 1)


class Rolling:
    """One run."""

    def __init__(self, system: System, broker: Broker | None, plan: Plan) -> None:
        self._system = system
        self._broker = broker
        self._plan = plan
        self._running: list[str] = []
        self._ended: dict[str, tuple[str, int]] = {}
        self._events: Counter[str] = Counter()
        self._waits: list[tuple[int, int, int]] = []  # of the probes: partition, when it was sent, ms until accepted
        self._moved_at_ms: list[int] = []
        self._names = (f"p{number}" for number in itertools.count())

    async def run(self) -> dict[str, object]:
        """Run it; returns the figures."""
        plan = self._plan
        counts = list(plan.counts()) if plan.scale else []
        for _ in range(counts[0] if counts else plan.processes):
            self._running.append(next(self._names))
            await self._system.serve(self._running[-1])
        working = [asyncio.create_task(work) for work in (self._read(), self._probe())]
        sending = asyncio.create_task(self._send())
        try:
            for number in range(plan.restarts):
                await asyncio.sleep(plan.every)
                self._moved_at_ms.append(time.time_ns() // 1_000_000)
                if counts:
                    await self._scale_to(counts[number + 1])
                else:
                    self._end_the_oldest()
                    await self._begin_one()
            if plan.outage and self._broker is not None:
                await asyncio.sleep(plan.every)
                self._broker.kill()
                await asyncio.sleep(plan.outage)
                await self._broker.start()
            await sending
            async with asyncio.timeout(plan.seconds * 8 + 120):
                while len(self._ended) < plan.requests:
                    await asyncio.sleep(0.2)
        finally:
            for task in (*working, sending):
                task.cancel()
            await asyncio.gather(*working, sending, return_exceptions=True)
        return await self._figures()

    async def _scale_to(self, count: int) -> None:
        while len(self._running) < count:
            await self._begin_one()
        while len(self._running) > count:
            self._end_the_oldest()

    async def _begin_one(self) -> None:
        self._running.append(next(self._names))
        await self._system.service(self._running[-1]).start()

    def _end_the_oldest(self) -> None:
        self._system.service(self._running.pop(0)).send(signal.SIGTERM)

    async def _figures(self) -> dict[str, object]:
        plan, stats = self._plan, await self._system.stats()
        posts = [
            str(p.get("prompt", "")) for p in stats["posts"] if p["operation"] in _BILLED and not p.get("replayed")
        ]
        paid = Counter(prompt.partition(":")[0] for prompt in posts)
        waits = sorted(wait for _, _, wait in self._waits)
        still = sorted(self._standstills())

        def at(values: list[int], share: float) -> int | None:
            return values[min(len(values) - 1, int(share * len(values)))] if values else None

        return {
            "requests": plan.requests,
            "billed_calls": sum(paid.values()),
            "restarts": plan.restarts,
            "requests_paid_twice": sum(count > 1 for count in paid.values()),
            "paid_twice_per_restart": round(sum(count - 1 for count in paid.values()) / max(plan.restarts, 1), 2),
            "attempts": dict(sorted(Counter(attempt for _, attempt in self._ended.values()).items())),
            "ends": dict(Counter(kind for kind, _ in self._ended.values())),
            "handed_over": self._events["handed_over"],
            "interrupted": self._events["interrupted"],
            "accepted_ms": {
                "p50": at(waits, 0.5),
                "p99": at(waits, 0.99),
                "worst": at(waits, 1.0),
                "probes": len(waits),
            },
            "standstill_ms": {"p50": at(still, 0.5), "worst": at(still, 1.0), "partitions_moved": len(still)},
        }

    def _standstills(self) -> Iterator[int]:
        """For each move and partition: the longest that a probe waited which was sent from then to the next move."""
        ends = [*self._moved_at_ms[1:], time.time_ns() // 1_000_000]
        for begin, end in zip(self._moved_at_ms, ends, strict=False):
            for partition in range(_PARTITIONS):
                waits = [wait for where, at_ms, wait in self._waits if where == partition and begin <= at_ms < end]
                if waits:
                    yield max(waits)

    async def _send(self) -> None:
        plan, settings = self._plan, self._system.settings()
        async with AIOKafkaProducer(**producer_options(settings.kafka)) as producer:
            pieces = max(int(plan.seconds * 10), 1)
            how = f"[[emulate: fragments={pieces} interval_ms=100]]" if plan.mode == "stream" else ""
            canceling = set()
            for number in range(plan.requests):
                name = f"r{number}"
                body = {
                    "request_id": name,
                    "video": {"type": "file", "path": str(sample_video())},
                    "prompt": f"{name}: slowly {how}",
                    "mode": plan.mode,
                }
                await producer.send(settings.topics.requests, orjson.dumps(body), key=name.encode())
                if plan.cancel_every and number % plan.cancel_every == 0:
                    canceling.add(asyncio.create_task(self._cancel(producer, name)))
                await asyncio.sleep(1 / plan.rate)
            await asyncio.gather(*canceling)

    async def _cancel(self, producer: AIOKafkaProducer, name: str) -> None:
        await asyncio.sleep(self._plan.seconds * 2 / 3)
        body = {"type": "cancel", "request_id": name}
        await producer.send(self._system.settings().topics.requests, orjson.dumps(body), key=name.encode())

    async def _probe(self) -> None:
        """A request for a missing file to every partition, again and again: it is accepted and fails at once."""
        settings = self._system.settings()
        async with AIOKafkaProducer(**producer_options(settings.kafka)) as producer:
            for number in itertools.count():
                for partition in range(_PARTITIONS):
                    body = {
                        "request_id": f"{_PROBE}{number}-{partition}",
                        "video": {"type": "file", "path": str(sample_video().parent / "missing.mp4")},
                        "prompt": "probe",
                        "mode": "async",
                    }
                    with contextlib.suppress(KafkaError):  # while the broker is away
                        await producer.send(settings.topics.requests, orjson.dumps(body), partition=partition)
                await asyncio.sleep(self._plan.probe_ms / 1000)

    async def _read(self) -> None:
        settings = self._system.settings()
        sent: dict[str, int] = {}
        async with event_reader(settings, (Role.REQUESTS, Role.PROGRESS, Role.COMPLETIONS)) as reader:
            reader.begin(await reader.ends())
            while True:
                for event in await reader.batch(50):
                    name = event.request_id or ""
                    if event.role is Role.REQUESTS:
                        sent[name] = event.timestamp_ms
                    elif event.role is Role.COMPLETIONS and not name.startswith(_PROBE):
                        self._ended[name] = (event.type, event.attempt)
                    elif event.role is Role.PROGRESS:
                        self._events[event.type] += 1
                        if event.type == "accepted" and name.startswith(_PROBE) and name in sent:
                            at_ms = sent.pop(name)
                            self._waits.append((event.partition, at_ms, event.timestamp_ms - at_ms))


async def measure(plan: Plan, bootstrap_servers: str, broker: Broker | None = None) -> dict[str, object]:
    """One run with a system of its own. `broker` is needed for an outage."""
    environment = own_names(f"roll{uuid.uuid4().hex[:8]}", partitions=_PARTITIONS)
    environment["REELWIRE_SHUTDOWN__DRAIN_SECONDS"] = f"{plan.drain:g}"
    folder = Path(sample_video()).parent
    system = System(bootstrap_servers, environment=environment, file_roots=(folder,))
    try:
        await system.start()
        if plan.mode == "sync":
            await system.pace(sync_seconds=plan.seconds)
        return await Rolling(system, broker, plan).run()
    finally:
        with contextlib.suppress(Exception):
            await system.stop()


async def _main(plan: Plan) -> dict[str, object]:
    async with await open_broker(load_settings(), progress=print) as broker:
        return await measure(plan, broker.bootstrap_servers, broker)


_DEFAULT = Plan()


@click.command(help=(__doc__ or "").partition("\n\n")[0])
@click.option("--requests", default=_DEFAULT.requests, show_default=True)
@click.option("--rate", default=_DEFAULT.rate, show_default=True, help="Requests a second.")
@click.option("--seconds", default=_DEFAULT.seconds, show_default=True, help="How long each stream or call lasts.")
@click.option("--mode", type=click.Choice(["stream", "sync"]), default=_DEFAULT.mode, show_default=True)
@click.option("--processes", default=_DEFAULT.processes, show_default=True)
@click.option("--restarts", default=_DEFAULT.restarts, show_default=True)
@click.option("--every", default=_DEFAULT.every, show_default=True, help="Seconds between two restarts.")
@click.option("--drain", default=_DEFAULT.drain, show_default=True, help="REELWIRE_SHUTDOWN__DRAIN_SECONDS.")
@click.option("--scale", is_flag=True, help="Instead of restarts: out from 1 process to all, and in again.")
@click.option("--cancel-every", default=0, show_default=True, help="Cancel every n-th request after 2/3 of its time.")
@click.option("--outage", default=0.0, show_default=True, help="How many seconds the broker is then gone.")
@click.option("--probe-ms", default=_DEFAULT.probe_ms, show_default=True, help="Pause between two probes.")
def main(**options: Any) -> None:
    """Run it and print the figures as JSON."""
    figures = asyncio.run(_main(Plan(**options)))
    print(orjson.dumps(figures, option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS).decode())


if __name__ == "__main__":
    main()
