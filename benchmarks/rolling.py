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
import uuid
from collections import Counter
from pathlib import Path

import click
import orjson
from aiokafka import AIOKafkaProducer

from contracts.topics import Role
from service.cli.reading.event_reader import event_reader
from service.kafka.connecting.connection import producer_options
from service.sandbox.broker.broker import open_broker
from service.sandbox.footage import sample_video
from service.sandbox.system import System, own_names
from service.settings import load_settings

_PARTITIONS = 6
_BILLED = frozenset({"analyze_stream", "analyze_sync", "task_create"})
_PROBE = "probe-"
_STILL_MS = 200
"""A probe that waits for longer met a partition whose intake stood still."""


class Rolling:
    """One run."""

    def __init__(self, system: System, requests: int, rate: float, mode: str, seconds: float, probe_ms: float) -> None:
        self._system = system
        self._requests = requests
        self._rate = rate
        self._mode = mode
        self._seconds = seconds
        self._probe_seconds = probe_ms / 1000
        self._ended: dict[str, tuple[str, int]] = {}
        self._events: Counter[str] = Counter()
        self._waits_ms: list[tuple[int, int]] = []
        self._names = (f"p{number}" for number in itertools.count())

    async def run(self, processes: int, restarts: int, every_seconds: float, scale: bool) -> dict[str, object]:
        """Run it; returns the figures."""
        running = [next(self._names) for _ in range(processes)]
        for name in running:
            await self._system.serve(name)
        reading = asyncio.create_task(self._read())
        probing = asyncio.create_task(self._probe())
        sending = asyncio.create_task(self._send())
        try:
            for number in range(restarts):
                await asyncio.sleep(every_seconds)
                if scale and number % 2:
                    running.append(next(self._names))
                    await self._system.service(running[-1]).start()
                    continue
                self._system.service(running.pop(0)).send(signal.SIGTERM)
                if not scale:
                    running.append(next(self._names))
                    await self._system.service(running[-1]).start()
            await sending
            async with asyncio.timeout(self._seconds * 8 + 120):
                while len(self._ended) < self._requests:
                    await asyncio.sleep(0.2)
        finally:
            for task in (reading, probing, sending):
                task.cancel()
            await asyncio.gather(reading, probing, sending, return_exceptions=True)
        return await self._figures(restarts)

    async def _figures(self, restarts: int) -> dict[str, object]:
        stats = await self._system.stats()
        posts = [
            str(p.get("prompt", "")) for p in stats["posts"] if p["operation"] in _BILLED and not p.get("replayed")
        ]
        paid = Counter(prompt.partition(":")[0] for prompt in posts)
        waits = sorted(wait for _, wait in self._waits_ms)
        still = sorted(wait for wait in waits if wait > _STILL_MS)

        def at(values: list[int], share: float) -> int | None:
            return values[min(len(values) - 1, int(share * len(values)))] if values else None

        return {
            "requests": self._requests,
            "billed_calls": sum(paid.values()),
            "requests_paid_twice": sum(count > 1 for count in paid.values()),
            "paid_twice_per_restart": round(sum(count - 1 for count in paid.values()) / max(restarts, 1), 2),
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
            "standstill_ms": {"p50": at(still, 0.5), "worst": at(still, 1.0), "probes": len(still)},
        }

    async def _send(self) -> None:
        settings = self._system.settings()
        async with AIOKafkaProducer(**producer_options(settings.kafka)) as producer:
            pieces = max(int(self._seconds * 10), 1)
            how = f"[[emulate: fragments={pieces} interval_ms=100]]" if self._mode == "stream" else ""
            for number in range(self._requests):
                name = f"r{number}"
                body = {
                    "request_id": name,
                    "video": {"type": "file", "path": str(sample_video())},
                    "prompt": f"{name}: slowly {how}",
                    "mode": self._mode,
                }
                await producer.send(settings.topics.requests, orjson.dumps(body), key=name.encode())
                await asyncio.sleep(1 / self._rate)

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
                    await producer.send(settings.topics.requests, orjson.dumps(body), partition=partition)
                await asyncio.sleep(self._probe_seconds)

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
                            self._waits_ms.append((event.partition, event.timestamp_ms - sent.pop(name)))


async def _main(requests: int, rate: float, seconds: float, mode: str, processes: int, restarts: int,
                every: float, drain: float, scale: bool, probe_ms: float) -> dict[str, object]:  # fmt: skip
    async with await open_broker(load_settings(), progress=print) as broker:
        environment = own_names(f"roll{uuid.uuid4().hex[:8]}", partitions=_PARTITIONS)
        environment["REELWIRE_SHUTDOWN__DRAIN_SECONDS"] = f"{drain:g}"
        folder = Path(sample_video()).parent
        system = System(broker.bootstrap_servers, environment=environment, file_roots=(folder,))
        try:
            await system.start()
            if mode == "sync":
                await system.pace(sync_seconds=seconds)
            rolling = Rolling(system, requests, rate, mode, seconds, probe_ms)
            return await rolling.run(processes, restarts, every, scale)
        finally:
            with contextlib.suppress(Exception):
                await system.stop()


@click.command(help=(__doc__ or "").partition("\n\n")[0])
@click.option("--requests", default=180, show_default=True)
@click.option("--rate", default=2.0, show_default=True, help="Requests a second.")
@click.option("--seconds", default=30.0, show_default=True, help="How long each stream or call lasts.")
@click.option("--mode", type=click.Choice(["stream", "sync"]), default="stream", show_default=True)
@click.option("--processes", default=4, show_default=True)
@click.option("--restarts", default=7, show_default=True)
@click.option("--every", default=15.0, show_default=True, help="Seconds between two restarts.")
@click.option("--drain", default=60.0, show_default=True, help="REELWIRE_SHUTDOWN__DRAIN_SECONDS of the processes.")
@click.option("--scale", is_flag=True, help="Scale in and out instead: a process ends, and the next time one begins.")
@click.option("--probe-ms", default=100.0, show_default=True, help="Pause between two probes of a partition.")
def main(requests: int, rate: float, seconds: float, mode: str, processes: int, restarts: int,
         every: float, drain: float, scale: bool, probe_ms: float) -> None:  # fmt: skip
    """Run it and print the figures as JSON."""
    figures = asyncio.run(_main(requests, rate, seconds, mode, processes, restarts, every, drain, scale, probe_ms))
    print(orjson.dumps(figures, option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS).decode())


if __name__ == "__main__":
    main()
