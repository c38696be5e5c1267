"""Logs of services, searched for faults, and a dump of all topics for finding out what happened."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import confluent_kafka
import orjson

from contracts.topics import Role
from service.settings import Settings
from service.telemetry.events import LogEvent

# Each is a fault of the service, whatever was done to its process.
_FAULTS = frozenset(
    {
        LogEvent.WORK_FAILED,
        LogEvent.UNIT_REFUSED,
        LogEvent.JOBS_NOT_CLOSED,
        LogEvent.TASK_FAILED,
        LogEvent.INTAKE_FAILED,
        LogEvent.PARSER_FAILED,
        LogEvent.ACCEPT_FAILED,
        LogEvent.JOB_QUARANTINED,
        LogEvent.COMPLETION_GONE,
        LogEvent.INPUT_OFFSET_LAPSED,
        LogEvent.DEAD_LETTER_CUT,
        LogEvent.LOOP_BLOCKED,
        LogEvent.EMULATOR_BROKEN,
    }
)
_READ_SECONDS = 30.0


def lines_of(log_file: Path) -> Iterator[dict[str, Any]]:
    """The lines of a log; one that is no JSON (a traceback of the interpreter) has its text as `event`."""
    if not log_file.exists():
        return
    for line in log_file.read_bytes().splitlines():
        try:
            yield orjson.loads(line)
        except orjson.JSONDecodeError:
            yield {"event": line.decode("utf-8", "replace"), "plain": True}


def faulty_lines(log_file: Path) -> Iterator[dict[str, Any]]:
    """Lines of a log that must never be there."""
    for line in lines_of(log_file):
        event = str(line.get("event"))
        bad = event in _FAULTS or (line.get("plain") and event.startswith("Traceback"))
        if bad or "never retrieved" in event or "was never awaited" in event:
            yield line


def faults_in(log_file: Path) -> Iterator[str]:
    """The same lines, as texts."""
    for line in faulty_lines(log_file):
        details = {name: value for name, value in line.items() if name not in ("event", "timestamp")}
        yield f"{log_file.name}: {line.get('event')} {details}"


def counted(log_file: Path) -> Counter[str]:
    """How often each event was logged."""
    return Counter(str(line.get("event")) for line in lines_of(log_file))


def dump_topics(settings: Settings, folder: Path) -> None:
    """Every record of every topic, uncommitted ones too, one JSON line each. Blocks."""
    for role in Role:
        with (folder / f"{role}.jsonl").open("wb") as file:
            for record in _records(settings, getattr(settings.topics, role)):
                file.write(orjson.dumps(record) + b"\n")


def _records(settings: Settings, topic: str) -> Iterator[dict[str, Any]]:
    consumer = confluent_kafka.Consumer(
        {
            "bootstrap.servers": settings.kafka.bootstrap_servers,
            "group.id": f"dump-{uuid.uuid4().hex}",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "enable.partition.eof": True,
            "isolation.level": "read_uncommitted",
            "log_level": 0,
        }
    )
    try:
        partitions = consumer.list_topics(topic, _READ_SECONDS).topics[topic].partitions
        consumer.assign([confluent_kafka.TopicPartition(topic, number, 0) for number in partitions])
        left = set(partitions)
        while left:
            message = consumer.poll(_READ_SECONDS)
            if message is None:
                return
            if message.error() is not None:
                left.discard(message.partition())
                continue
            yield {
                "partition": message.partition(),
                "offset": message.offset(),
                "timestamp": message.timestamp()[1],
                "key": _text(message.key()),
                "value": _text(message.value()),
                "headers": [[name, _text(value)] for name, value in message.headers() or ()],
            }
    finally:
        consumer.close()


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("utf-8", "backslashreplace")
