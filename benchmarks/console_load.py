"""What the console costs under load: `python -m benchmarks.console_load [--jobs 1000] [--rate 5000] [--viewers 50]`.

Job records and fragments are put onto the topics of a real broker directly; viewers read over HTTP in a process of
their own. Prints one JSON line for each part: CPU of the console in percent of one core, and its memory.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import aiohttp
import confluent_kafka
import orjson
import psutil

from contracts.fragments import FragmentEncoder
from service.domain.job import Job, Mode, Phase, encode_job
from service.kafka.topics.admin import create_topics
from service.sandbox.addresses import HOST, free_ports
from service.sandbox.broker.broker import open_broker
from service.sandbox.program import Program
from service.sandbox.system import own_names
from service.settings import Settings, load_settings

_PARTITIONS = 6
_TEXT = "a white van turns left "
_SETTLE_SECONDS = 6.0


def main() -> None:
    """Run it once with no viewer and once with all."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--jobs", type=int, default=1_000)
    parser.add_argument("--rate", type=int, default=5_000, help="fragments a second")
    parser.add_argument("--viewers", type=int, default=50, help="each with the list and with one request")
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--bootstrap-servers", default=None, help="else a broker is started")
    asyncio.run(_run(parser.parse_args()))


async def _run(options: argparse.Namespace) -> None:
    async with _broker(options.bootstrap_servers) as servers:
        names = own_names(f"load{time.time_ns() % 10**9}", partitions=_PARTITIONS)
        environment = {"REELWIRE_KAFKA__BOOTSTRAP_SERVERS": servers, **names}
        (port,) = free_ports(1)
        environment |= {"REELWIRE_CONSOLE__PORT": str(port), "REELWIRE_CONSOLE__MAX_VIEWERS": str(3 * options.viewers)}
        settings = _settings(environment)
        await create_topics(settings)
        stop = multiprocessing.Event()
        load = multiprocessing.Process(target=_load, args=(servers, environment, options.jobs, options.rate, stop))
        load.start()
        folder = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="reelwire-console-load-"))
        console = Program("console", ["console"], environment, folder / "console.log")
        url = f"http://{HOST}:{port}"
        try:
            await console.start()
            await console.ready(f"{url}/health/ready")
            for viewers in (0, options.viewers):
                await _measure(url, console.pid, viewers, options)
        finally:
            stop.set()
            load.join(10)
            await console.kill()


async def _measure(url: str, pid: int, viewers: int, options: argparse.Namespace) -> None:
    stop = multiprocessing.Event()
    counted: Any = multiprocessing.Array("q", 2)
    watching = multiprocessing.Process(target=_watch, args=(url, viewers, options.jobs, stop, counted))
    watching.start()
    try:
        await asyncio.sleep(_SETTLE_SECONDS)
        process = psutil.Process(pid)
        texts = await _characters(url)
        before, began, read = process.cpu_times(), time.monotonic(), list(counted)
        await asyncio.sleep(options.seconds)
        after, took = process.cpu_times(), time.monotonic() - began
        texts = await _characters(url) - texts
        async with aiohttp.ClientSession() as session:
            asked = time.monotonic()
            async with session.get(f"{url}/api/jobs?limit=100") as answer:
                page = await answer.json()
            latency = time.monotonic() - asked
        cpu = (after.user + after.system - before.user - before.system) / took
        print(
            orjson.dumps(
                {
                    "viewers": viewers,
                    "live_requests": page["live"],
                    "fragments_per_second": round(texts / len(_TEXT) / took),
                    "cpu_percent_of_a_core": round(100 * cpu, 1),
                    "memory_mib": round(process.memory_info().rss / 2**20),
                    "list_answered_in_ms": round(1000 * latency, 1),
                    "sent_kib_per_second_and_viewer": round((counted[0] - read[0]) / took / 1024 / max(1, viewers), 1),
                    "gaps": counted[1],
                }
            ).decode(),
            flush=True,
        )
    finally:
        stop.set()
        watching.join(10)


async def _characters(url: str) -> int:
    """The text of all live requests together: it tells how many fragments were read."""
    total: int = 0
    before = ""
    async with aiohttp.ClientSession() as session:
        while True:
            async with session.get(f"{url}/api/jobs?state=live&limit=500{before}") as answer:
                page = await answer.json()
            total += sum(job["characters"] for job in page["jobs"])
            if page["next"] is None:
                return total
            before = f"&before={page['next']}"


def _watch(url: str, viewers: int, jobs: int, stop: Event, counted: Any) -> None:
    async def read(path: str) -> None:
        timeout = aiohttp.ClientTimeout(total=None)
        async with aiohttp.ClientSession(timeout=timeout) as session, session.get(url + path) as answer:
            async for part in answer.content.iter_any():
                counted[0] += len(part)
                counted[1] += part.count(b"event: gap")

    async def run() -> None:
        paths = [f"/api/jobs/job-{n * jobs // max(1, viewers)}/events" for n in range(viewers)]
        paths += ["/api/live"] * viewers
        tasks = [asyncio.create_task(read(path)) for path in paths]
        await asyncio.to_thread(stop.wait)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(run())


def _load(servers: str, environment: dict[str, str], jobs: int, rate: int, stop: Event) -> None:
    """Live jobs, and text of all of them in turn."""
    topics = _settings(environment).topics
    producer = confluent_kafka.Producer({"bootstrap.servers": servers, "linger.ms": 5, "log_level": 0})
    now = round(time.time() * 1000)
    encoders = []
    for number in range(jobs):
        name, partition = f"job-{number}", number % _PARTITIONS
        body = orjson.dumps(
            {"request_id": name, "prompt": "what happens?", "video": {"type": "url", "url": "https://a/b"}}
        )
        job = Job(name, partition, number, b"cam", f"d{number}", body, now, now, phase=Phase.STREAMING, attempt=1,
                  mode=Mode.STREAM)  # fmt: skip
        producer.produce(topics.jobs, encode_job(job), name, partition)
        encoders.append((partition, FragmentEncoder(name, 1, "generation", "/reelwire/load", name)))
    producer.flush()
    began, sent = time.monotonic(), 0
    while not stop.is_set():
        due = int((time.monotonic() - began) * rate)
        for count in range(sent, due):
            partition, encoder = encoders[count % jobs]
            value, headers = encoder.encode(count // jobs, _TEXT, time.time())
            producer.produce(topics.fragments, value, b"cam", partition, headers=list(headers))
            if count % 500 == 0:
                producer.poll(0)
        sent = due
        time.sleep(0.02)
    producer.flush(5)


def _settings(environment: dict[str, str]) -> Settings:
    sections: dict[str, dict[str, Any]] = {}
    for name, value in environment.items():
        section, _, member = name.removeprefix("REELWIRE_").lower().partition("__")
        sections.setdefault(section, {})[member] = value
    return load_settings(**sections)


@asynccontextmanager
async def _broker(servers: str | None) -> AsyncIterator[str]:
    if servers is not None:
        yield servers
        return
    broker = await open_broker(load_settings(), progress=print)
    try:
        yield broker.bootstrap_servers
    finally:
        await broker.stop()


if __name__ == "__main__":
    main()
