"""The floor: reading the NDJSON and sending the records, and nothing else. `python -m benchmarks.floor OPTIONS`.

A bare aiohttp client reads the streams and decodes every line; the texts of one network read go into one record of
Reelwire's size with Reelwire's headers, sent by an idempotent aiokafka producer. No requests, no state, no
completions, no model. One process, so that both halves share a loop as they do in Reelwire.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

import aiohttp
import click
import orjson
import uvloop
from aiokafka import AIOKafkaProducer

from benchmarks.workload import Workload
from contracts.fragments import FragmentEncoder

_REQUEST_ID = "bench-00000000-000000"


class Floor:
    """Counts what it did."""

    def __init__(self, platform: str, topic: str, partitions: int, work: Workload) -> None:
        self._url = f"{platform}/analyze"
        self._topic = topic
        self._partitions = partitions
        self._work = work
        self.lines = 0
        self.records = 0
        encoder = FragmentEncoder(_REQUEST_ID, 1, "0" * 36, "reelwire/bench", "0-1234-fragment-1")
        value, headers = encoder.encode(100, "", 1e9)
        self._around = value
        self._headers = list(headers)
        self._key = _REQUEST_ID.encode()

    async def run(self, producer: AIOKafkaProducer, session: aiohttp.ClientSession) -> None:
        room = asyncio.Semaphore(self._work.at_once)

        async def one(number: int) -> None:
            async with room:
                await self._stream(producer, session, number % self._partitions)

        async with asyncio.TaskGroup() as streams:
            for number in range(self._work.jobs):
                streams.create_task(one(number))

    async def _stream(self, producer: AIOKafkaProducer, session: aiohttp.ClientSession, partition: int) -> None:
        body = {"video": {"type": "url", "url": "http://127.0.0.1:9/v"}, "prompt": self._work.prompt(), "stream": True}
        tail = b""
        futures = []
        async with session.post(self._url, json=body) as response:
            async for data in response.content.iter_any():
                *lines, tail = (tail + data).split(b"\n")
                texts = []
                for line in lines:
                    event = orjson.loads(line)
                    if event["event_type"] == "text_generation":
                        texts.append(event["text"])
                if texts:
                    self.lines += len(texts)
                    self.records += 1
                    value = self._around + "".join(texts).encode()
                    futures.append(
                        await producer.send(
                            self._topic, value, key=self._key, partition=partition, headers=self._headers
                        )
                    )
        if futures:
            await asyncio.wait(futures)


@click.command()
@click.option("--servers", required=True)
@click.option("--platform", required=True)
@click.option("--topic", required=True)
@click.option("--partitions", type=int, required=True)
@click.option("--jobs", type=int, required=True)
@click.option("--lines", type=int, required=True)
@click.option("--rate", type=float, required=True)
@click.option("--at-once", type=int, required=True)
def main(
    servers: str, platform: str, topic: str, partitions: int, jobs: int, lines: int, rate: float, at_once: int
) -> None:
    async def run() -> None:
        floor = Floor(platform, topic, partitions, Workload(jobs, lines, rate, at_once))
        async with (
            AIOKafkaProducer(bootstrap_servers=servers, enable_idempotence=True, max_batch_size=256 * 1024) as producer,
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session,
        ):
            await producer.partitions_for(topic)
            wall, cpu = time.monotonic(), time.process_time()
            await floor.run(producer, session)
            await producer.flush()
            cpu, wall = time.process_time() - cpu, time.monotonic() - wall
        json.dump({"cpu_seconds": cpu, "seconds": wall, "lines": floor.lines, "records": floor.records}, sys.stdout)

    uvloop.run(run())


if __name__ == "__main__":
    main()
