"""Fills the memory from the requests topic, once the producer has fenced whoever wrote to it before."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog
from aiokafka.errors import KafkaError

from service.errors import PartitionError
from service.ingest.judging import CHANGE_HEADER, REQUEST_HEADER
from service.ingest.memory import Memory
from service.kafka.connecting.refusals import writing_words
from service.kafka.other_clients.open_transactions import ends_of, open_transactions
from service.kafka.ports import InRecord
from service.kafka.reading.fetched import Fetched, UnreadableRange
from service.kafka.takeover.log_reader import LogReader, log_unreadable
from service.settings import KafkaSettings

log = structlog.get_logger()

_AGAIN_SECONDS = 0.1
_CONSEQUENCE = "requests that were sent there are not remembered, and may be sent again"


class Hidden(PartitionError):
    """Another client's open transaction hides records of the requests topic."""


async def recall(
    memory: Memory,
    client: object,
    settings: KafkaSettings,
    topic: str,
    partitions: Sequence[int],
    *,
    since_ms: int,
    now: float,
) -> None:
    """Read the requests that were sent since then (milliseconds since the epoch) into `memory`.

    They count as sent `now`, by the clock that never goes back: after an outage the notifications that are read first
    are as old as it was long, and so are those that they repeat.
    `client` is a started client of aiokafka. Everything that the process before has committed is read, also when
    another client's open transaction hides it: that is waited for. Raises `PartitionError`.
    """
    await _until_shown(client, settings, topic, partitions)
    async with LogReader(settings) as reader:
        for partition in partitions:
            first = await reader.first_since(topic, partition, since_ms)
            if first is None:
                continue
            async for records in reader.since(topic, partition, first, lambda: True):
                _take(memory, records, now)
                await asyncio.sleep(0)


async def _until_shown(client: object, settings: KafkaSettings, topic: str, partitions: Sequence[int]) -> None:
    """Return when committed readers see everything that is there now."""
    limit = settings.call_timeout_seconds + settings.transaction_timeout_ms / 1000
    wanted: dict[int, int] | None = None
    hidden = partitions[0]
    try:
        async with asyncio.timeout(limit):
            while True:
                try:
                    ends = await ends_of(client, topic, partitions)
                except KafkaError as error:
                    if not error.retriable:
                        raise
                    await asyncio.sleep(_AGAIN_SECONDS)
                    continue
                if len(ends) == len(partitions):
                    wanted = wanted or {partition: found.last for partition, found in ends.items()}
                    waiting = [partition for partition, found in ends.items() if found.stable < wanted[partition]]
                    if not waiting:
                        return
                    hidden = waiting[0]
                await asyncio.sleep(_AGAIN_SECONDS)
    except KafkaError as error:
        raise PartitionError(f"the ends of {topic} are unknown: {writing_words(error)}") from error
    except TimeoutError:
        raise Hidden(await _who_hides(client, topic, hidden)) from None


async def _who_hides(client: object, topic: str, partition: int) -> str:
    reason = f"records of {topic}/{partition} are hidden by another client's open transaction"
    try:
        async with asyncio.timeout(_AGAIN_SECONDS * 50):
            found = await open_transactions(client, topic, partition)
    except (KafkaError, TimeoutError, OSError, NotImplementedError):
        found = []
    whose = f": {found[0]}" if found else ""
    return f"{reason}{whose}; end it, or wait for the broker to do it (transaction.max.timeout.ms)"


def _take(memory: Memory, records: Sequence[Fetched], now: float) -> None:
    for record in records:
        if isinstance(record, UnreadableRange):
            log_unreadable(record, _CONSEQUENCE)
            continue
        take_record(memory, record, now)


def take_record(memory: Memory, record: InRecord, at: float) -> None:
    """What a record of the requests topic says about what was sent. Those of other producers say nothing."""
    for name, value in record.headers:
        if name == REQUEST_HEADER and value is not None:
            memory.sent(value.decode("ascii", "replace"), at)
        elif name == CHANGE_HEADER and value is not None:
            digest, _, sequencer = value.decode("ascii", "replace").partition(":")
            try:
                memory.changed(bytes.fromhex(digest), sequencer, at)
            except ValueError:
                continue
