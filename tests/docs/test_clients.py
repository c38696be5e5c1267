"""The programs of the pages for producers and consumers, run as they are printed but for addresses and topics."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import orjson
import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.partitioner import murmur2
from confluent_kafka import Producer

from contracts.cloudevents import encode
from contracts.events import Completed, Fragment, Timings
from contracts.requests import AnalyzeRequest, parse_request
from service.kafka.connecting.connection import client_options
from service.sandbox.topics import TopicMaker
from service.settings import KafkaSettings
from tests.docs import clients
from tests.docs.pages import blocks, snippet

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(600)]

PRODUCERS = {
    "produce_confluent.py": clients.python,
    "produce_aiokafka.py": clients.python,
    "Produce.java": clients.java,
    "produce.go": clients.go,
    "produce.mjs": clients.node,
    "produce.sh": clients.kcat,
}
CONSUMERS = {
    "consume_confluent.py": clients.python,
    "consume_aiokafka.py": clients.python,
    "Consume.java": clients.java,
    "consume.go": clients.go,
    "consume.mjs": clients.node,
}
PARTITIONS = 7
KEY = b"cam7"
TIME = "2026-11-23T07:15:17.236Z"


@asynccontextmanager
async def running(
    page: str, title: str, prepare: clients.Prepare, folder: Path, kafka: KafkaSettings, prefix: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    program = folder / title
    text = snippet(page, title).replace("localhost:9092", kafka.bootstrap_servers)
    program.write_text(text.replace("video.analysis.", f"{prefix}.").replace("my-reader", f"{prefix}-{title}"))
    command = await asyncio.to_thread(prepare, program, folder)
    with (folder / "stderr").open("wb") as errors:
        process = await asyncio.create_subprocess_exec(
            *command, cwd=folder, stdout=asyncio.subprocess.PIPE, stderr=errors
        )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def test_every_program_of_the_pages_is_run_by_a_test() -> None:
    found = {block.title for name in ("howto/produce.md", "howto/consume.md") for block in blocks(name)} - {None}

    assert found == {*PRODUCERS, *CONSUMERS, "consume.sh"}


@pytest.mark.parametrize("title", PRODUCERS)
async def test_a_producer_sends_a_request_to_the_partition_that_murmur2_says(
    title: str, kafka: KafkaSettings, make_topics: TopicMaker, prefix: str, tmp_path: Path
) -> None:
    topic = f"{prefix}.requests.v1"
    await make_topics(topic, partitions=PARTITIONS)
    async with running("howto/produce.md", title, PRODUCERS[title], tmp_path, kafka, prefix) as process:
        output, _ = await process.communicate()
    assert process.returncode == 0, (tmp_path / "stderr").read_text()

    consumer = AIOKafkaConsumer(topic, auto_offset_reset="earliest", **client_options(kafka))
    await consumer.start()
    try:
        record = await consumer.getone()
    finally:
        await consumer.stop()
    expected = (murmur2(KEY) & 0x7FFFFFFF) % PARTITIONS
    assert expected != zlib.crc32(KEY) % PARTITIONS, "this key does not tell murmur2 from librdkafka's default"
    assert (record.key, record.partition) == (KEY, expected)
    assert title == "produce.sh" or output.decode() == f"partition {expected}\n"
    request = parse_request(record.value, (), max_bytes=1 << 20).request
    assert isinstance(request, AnalyzeRequest)
    assert request.request_id == "cam7-918273"


def _completion(request_id: str, text: str) -> tuple[bytes, list[tuple[str, str | bytes | None]]]:
    event = Completed(request_id=request_id, attempt=2, time=TIME, mode="stream", text=text, timings=Timings())
    value, headers = encode(event, source="reelwire/requests", event_id=f"0-{request_id}-completion")
    return value, list(headers)


def _write(kafka: KafkaSettings, prefix: str) -> None:
    """An aborted completion, a repeated one and another; fragments of attempt 1, of attempt 2, and a late one of 1."""
    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers, "transactional.id": f"{prefix}-writer"})
    producer.init_transactions(30)
    texts = ("never", "first", "first", "last")
    for request_id, text in zip(("aborted", "one", "one", "two"), texts, strict=True):
        value, headers = _completion(request_id, text)
        producer.begin_transaction()
        producer.produce(f"{prefix}.completions.v1", value, KEY, headers=headers)
        producer.flush(30)
        (producer.abort_transaction if text == "never" else producer.commit_transaction)(30)
    plain = Producer({"bootstrap.servers": kafka.bootstrap_servers, "enable.idempotence": True})
    for attempt, sequence, text in ((1, 0, "lost"), (2, 0, "fir"), (1, 1, "late"), (2, 1, "st")):
        event = Fragment(request_id="one", attempt=attempt, time=TIME, sequence=sequence, text=text)
        value, attributes = encode(event, source="reelwire/requests", event_id=f"0-0-fragment-{attempt}-{sequence}")
        plain.produce(f"{prefix}.fragments.v1", value, KEY, headers=list(attributes))
    assert plain.flush(30) == 0


@pytest.mark.parametrize("title", CONSUMERS)
async def test_a_consumer_shows_each_completion_once_and_the_fragments_of_the_newest_attempt(
    title: str, kafka: KafkaSettings, make_topics: TopicMaker, prefix: str, tmp_path: Path
) -> None:
    await make_topics(f"{prefix}.completions.v1", f"{prefix}.fragments.v1")
    await asyncio.to_thread(_write, kafka, prefix)

    completions: list[str] = []
    fragments: list[str] = []
    async with running("howto/consume.md", title, CONSUMERS[title], tmp_path, kafka, prefix) as process:
        assert process.stdout is not None
        async with asyncio.timeout(90):
            while "completed two last" not in completions or "fragment one 2 st" not in fragments:
                line = (await process.stdout.readline()).decode().rstrip("\n")
                assert line, f"the program has ended: {(tmp_path / 'stderr').read_text()}"
                if line.startswith(("completed ", "fragment ")):
                    (fragments if line.startswith("fragment ") else completions).append(line)

    assert completions == ["completed one first", "completed two last"]
    assert fragments == ["fragment one 1 lost", "fragment one 2 fir", "fragment one 2 st"]


async def test_kcat_shows_committed_completions_with_their_ids(
    kafka: KafkaSettings, make_topics: TopicMaker, prefix: str, tmp_path: Path
) -> None:
    await make_topics(f"{prefix}.completions.v1", f"{prefix}.fragments.v1")
    await asyncio.to_thread(_write, kafka, prefix)
    async with running("howto/consume.md", "consume.sh", clients.kcat, tmp_path, kafka, prefix) as process:
        output, _ = await process.communicate()

    lines = output.decode().splitlines()
    assert [orjson.loads(line[line.index("{") :])["request_id"] for line in lines] == ["one", "one", "two"]
    assert all("ce_id=0-" in line and "ce_source=reelwire/requests" in line for line in lines)
