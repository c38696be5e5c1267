"""An independent reader, as any consumer would be: `python -m benchmarks.reader OPTIONS`; its figures as JSON.

Reads fragments and completions of one contestant with confluent-kafka until the wanted number of completions and
of texts has come. Late by how much: of each text since its line was written, of each completion since the last byte
of its stream was.
"""

from __future__ import annotations

import json
import sys
import time

import click
from confluent_kafka import Consumer, TopicPartition

from benchmarks.cpu import instrument
from benchmarks.latency import spread
from benchmarks.workload import now_us, written_us


@click.command()
@click.option("--servers", required=True)
@click.option("--topics", required=True)
@click.option("--partitions", type=int, required=True)
@click.option("--isolation", required=True)
@click.option("--jobs", type=int, required=True)
@click.option("--lines", type=int, required=True)
@click.option("--seconds", type=float, required=True, help="give up after")
def main(servers: str, topics: str, partitions: int, isolation: str, jobs: int, lines: int, seconds: float) -> None:
    instrument()
    consumer = Consumer(
        {
            "bootstrap.servers": servers,
            "group.id": "bench-reader",
            "enable.auto.commit": False,
            "isolation.level": isolation,
        }
    )
    consumer.assign(
        [
            _end(consumer, f"{topics}.{topic}", number)
            for topic in ("fragments", "completions")
            for number in range(partitions)
        ]
    )
    texts: list[tuple[int, int]] = []
    ends: list[tuple[int, int]] = []
    records = 0
    deadline = time.monotonic() + seconds
    print("ready", file=sys.stderr, flush=True)
    while len(ends) < jobs or len(texts) < lines:
        message = consumer.poll(1.0)
        now = now_us()
        if time.monotonic() > deadline:
            sys.exit(f"only {len(ends)} of {jobs} completions and {len(texts)} of {lines} texts have come")
        if message is None or message.error() is not None:
            continue
        event = json.loads(message.value())
        if event["type"] == "fragment":
            records += 1
            texts.extend((written, now) for written in written_us(event["text"]))
        else:
            ends.append((event["usage"]["input_tokens"], now))
    consumer.close()
    print(json.dumps({"records": records, "fragments": spread(texts), "completions": spread(ends)}))


def _end(consumer: Consumer, topic: str, partition: int) -> TopicPartition:
    _, end = consumer.get_watermark_offsets(TopicPartition(topic, partition), 10)
    return TopicPartition(topic, partition, end)


if __name__ == "__main__":
    main()
