"""Memory of a service that is sent many large requests: `python -m benchmarks.large_requests [COUNT] [MIB]`.

The requests are more than the process may hold, so most stay in the requests topic. Then the process is killed, as
many job records are written to the jobs topic, and its successor takes over: most of those stay in the jobs topic.
Uses the broker of `REELWIRE_KAFKA__BOOTSTRAP_SERVERS`, else one of its own.
"""

from __future__ import annotations

import asyncio
import random
import sys
import time
import uuid

import orjson
from confluent_kafka import Producer

from benchmarks.cpu import rss_bytes
from contracts.requests import parse_request
from service.domain.job import Job, encode_job
from service.sandbox.broker.broker import open_broker
from service.sandbox.program import Program
from service.sandbox.system import System, own_names
from service.settings import load_settings

_MIB = 1024 * 1024
_PARTITIONS = 6
_WATCH_SECONDS = 25.0
_TAKEOVER_SECONDS = 900.0  # ten gigabytes are read before it
_STILL_SECONDS = 6.0


def _request(number: int, size: int, words: list[str]) -> bytes:
    filler = " ".join(random.choices(words, k=size // 8))
    return orjson.dumps(
        {
            "request_id": f"large-{number}",
            "video": {"type": "url", "url": "http://127.0.0.1:9/never.mp4"},
            "mode": "async",
            "prompt": filler[: size - 400],
        }
    )


def _send(servers: str, topic: str, records: list[tuple[bytes, bytes]]) -> None:
    options = {"bootstrap.servers": servers, "compression.type": "zstd", "message.max.bytes": 4 * _MIB}
    producer = Producer({**options, "queue.buffering.max.kbytes": 256 * 1024})
    for number, (key, value) in enumerate(records):
        while True:
            try:
                producer.produce(topic, value, key, partition=number % _PARTITIONS)
                break
            except BufferError:
                producer.poll(0.1)
    producer.flush(120)


async def _peak(program: Program, system: System, name: str) -> tuple[int, str]:
    """The largest resident size until nothing has changed for some seconds, and what is held by then."""
    peak, changed, begun = 0, time.monotonic(), time.monotonic()
    while time.monotonic() - begun < _WATCH_SECONDS and time.monotonic() - changed < _STILL_SECONDS:
        now = rss_bytes(program.pid)
        if now > peak:
            peak, changed = now, time.monotonic()
        await asyncio.sleep(0.05)
    _, metrics = await system.get("metrics", name)
    held = sum(float(line.rpartition(" ")[2]) for line in metrics.splitlines() if line.startswith("reelwire_jobs{"))
    return peak, f"{held:.0f} jobs held"


async def main(count: int, mib: float) -> None:
    words = ["".join(random.choices("abcdefghij", k=7)) for _ in range(5_000)]
    distinct = [_request(number, int(mib * _MIB), words) for number in range(20)]
    broker = await open_broker(load_settings(), progress=print)
    system = System(broker.bootstrap_servers, environment=own_names(f"m{uuid.uuid4().hex[:8]}", partitions=_PARTITIONS))
    try:
        await system.start()
        await system.fault({"operation": "asset_create", "do": {"status": 503}})  # so that every job stays
        topics = system.settings().topics
        program = await system.serve()
        print(f"empty: {rss_bytes(program.pid) / _MIB:.0f} MiB")
        bodies = [distinct[n % 20].replace(b'"large-%d"' % (n % 20), b'"large-%d"' % n, 1) for n in range(20)]
        records = [(b"k%d" % n, bodies[n % 20]) for n in range(20)]
        for start in range(0, count, 20):
            batch = [(key, value.replace(b"large-", b"l%d-" % start, 1)) for key, value in records]
            await asyncio.to_thread(_send, broker.bootstrap_servers, topics.requests, batch)
        peak, held = await _peak(program, system, "service")
        print(f"{count} requests of {mib:g} MiB: peak {peak / _MIB:.0f} MiB, {held}")
        await program.kill()
        for start in range(0, count, 20):
            jobs = []
            for number, (key, value) in enumerate(records):
                parsed = parse_request(value.replace(b"large-", b"j%d-" % start, 1), (), max_bytes=2 * _MIB)
                job = Job(
                    request_id=parsed.request.request_id, partition=number % _PARTITIONS, offset=start, key=key,
                    digest=parsed.digest, body=parsed.body, received_ms=0, accepted_ms=0,
                )  # fmt: skip
                jobs.append((job.request_id.encode(), encode_job(job)))
            await asyncio.to_thread(_send, broker.bootstrap_servers, topics.jobs, jobs)
        begun = time.monotonic()
        program = system.service("successor")
        await program.start()
        ready = asyncio.create_task(program.ready(f"{system.url('successor')}/health/ready", seconds=_TAKEOVER_SECONDS))
        reading = 0
        while not ready.done():
            reading = max(reading, rss_bytes(program.pid))
            await asyncio.sleep(0.05)
        await ready
        print(f"taken over within {time.monotonic() - begun:.1f} s, with {reading / _MIB:.0f} MiB at most")
        peak, held = await _peak(program, system, "successor")
        print(f"{count} job records of {mib:g} MiB: peak {peak / _MIB:.0f} MiB, {held}")
    finally:
        await system.stop()
        await broker.stop()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000, float(sys.argv[2]) if len(sys.argv) > 2 else 1))
