"""What one writes in an afternoon with the official SDK and aiokafka: `python -m benchmarks.sdk_loop OPTIONS`.

Requests in, fragments and a completion out, the offset committed behind each completion. One concession each to
speed that its author might not think of: uvloop, and an HTTP client without the default limit of 100 connections.
`wait` awaits every fragment's delivery (`send_and_wait`), `send` only hands it to the producer.
"""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from typing import Any

import click
import httpx
import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from twelvelabs import AsyncTwelveLabs
from twelvelabs.types.video_context import VideoContext_Url


class Loop:
    """The loop and its three clients."""

    def __init__(self, servers: str, platform: str, topics: str, streams: int, *, wait: bool) -> None:
        self._topics = topics
        self._wait = wait
        self._room = asyncio.Semaphore(streams)
        self._consumer = AIOKafkaConsumer(
            f"{topics}.requests",
            bootstrap_servers=servers,
            group_id=topics,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            value_deserializer=json.loads,
        )
        self._producer = AIOKafkaProducer(
            bootstrap_servers=servers, value_serializer=lambda value: json.dumps(value).encode()
        )
        self._client = AsyncTwelveLabs(
            api_key="tlk_bench",
            base_url=platform,
            httpx_client=httpx.AsyncClient(timeout=600, limits=httpx.Limits(max_connections=None)),
        )

    async def run(self) -> None:
        await self._consumer.start()
        await self._producer.start()
        print("ready", flush=True)
        async with asyncio.TaskGroup() as jobs:
            async for record in self._consumer:
                await self._room.acquire()
                jobs.create_task(self._job(record))

    async def _job(self, record: Any) -> None:
        request = record.value
        request_id = request["request_id"]
        key = record.key or request_id.encode()
        texts: list[str] = []
        usage = None
        stream = self._client.analyze_stream(
            video=VideoContext_Url(url=request["video"]["url"]), prompt=request["prompt"]
        )
        async for event in stream:
            if event.event_type == "text_generation":
                fragment = {
                    "type": "fragment",
                    "request_id": request_id,
                    "attempt": 1,
                    "time": datetime.now(UTC).isoformat(),
                    "sequence": len(texts),
                    "text": event.text,
                }
                send = self._producer.send_and_wait if self._wait else self._producer.send
                await send(f"{self._topics}.fragments", fragment, key=key)
                texts.append(event.text)
            elif event.event_type == "stream_end":
                usage = event.metadata.usage
        completion = {
            "type": "completed",
            "request_id": request_id,
            "time": datetime.now(UTC).isoformat(),
            "text": "".join(texts),
            "fragments": len(texts),
            "usage": {"input_tokens": usage.input_tokens, "output_tokens": usage.output_tokens} if usage else None,
        }
        await self._producer.send_and_wait(f"{self._topics}.completions", completion, key=key)
        await self._consumer.commit({TopicPartition(record.topic, record.partition): record.offset + 1})
        self._room.release()


@click.command()
@click.option("--servers", required=True)
@click.option("--platform", required=True)
@click.option("--topics", required=True, help="what the names of its topics begin with")
@click.option("--streams", type=int, required=True)
@click.option("--sending", type=click.Choice(["wait", "send"]), default="wait")
def main(servers: str, platform: str, topics: str, streams: int, sending: str) -> None:
    async def run() -> None:
        await Loop(servers, platform, topics, streams, wait=sending == "wait").run()

    uvloop.run(run())


if __name__ == "__main__":
    main()
