"""Send a request and show its text while it comes: `python submit.py https://media.example.com/a.mp4 "What happens?"`.

Settings come from the environment: REELWIRE_KAFKA__BOOTSTRAP_SERVERS (default localhost:9092), and REELWIRE_TOPICS__*
for topics whose names are not the defaults.
"""

from __future__ import annotations

import argparse
import asyncio
import os
from pathlib import Path

from reelwire_client import Client, RecordReader, RequestSender, Restart
from reelwire_client.events import TOPICS

BROKERS = os.environ.get("REELWIRE_KAFKA__BOOTSTRAP_SERVERS", "localhost:9092")
NAMES = {role: os.environ.get(f"REELWIRE_TOPICS__{role.upper()}", name) for role, name in TOPICS.items()}


def connections(library: str) -> tuple[RecordReader, RequestSender]:
    """A reader and a sender over one of the two clients."""
    if library == "aiokafka":
        from reelwire_client.over_aiokafka import AiokafkaReader, AiokafkaSender

        return AiokafkaReader(BROKERS, topics=NAMES), AiokafkaSender(BROKERS, topic=NAMES["requests"])
    from reelwire_client.over_confluent import ConfluentReader, ConfluentSender

    brokers = {"bootstrap.servers": BROKERS}
    return ConfluentReader(brokers, topics=NAMES), ConfluentSender(brokers, topic=NAMES["requests"])


async def main() -> None:
    """Submit, show, and end with how it ended."""
    parser = argparse.ArgumentParser()
    parser.add_argument("source")
    parser.add_argument("prompt")
    parser.add_argument("--request-id")
    parser.add_argument("--key")
    parser.add_argument("--mode", default="stream")
    parser.add_argument("--over", choices=["aiokafka", "confluent"], default="aiokafka")
    typed = parser.parse_args()
    if typed.source.startswith(("http://", "https://")):
        video = {"type": "url", "url": typed.source}
    else:
        video = {"type": "file", "path": str(Path(typed.source).resolve())}
    request = {"video": video, "prompt": typed.prompt, "mode": typed.mode}
    if typed.request_id:
        request["request_id"] = typed.request_id

    async with Client(*connections(typed.over)) as client:
        stream = await client.submit(request, key=typed.key)
        async for part in stream:
            if isinstance(part, Restart):
                print(f"\n-- begins again, attempt {part.attempt}", flush=True)
            else:
                print(part.text, end="", flush=True)
        completion = await stream.end()
    print(f"\n-- {completion['type']}", flush=True)


if __name__ == "__main__":
    asyncio.run(main())
