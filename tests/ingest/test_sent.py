"""What `reelwire ingest` says in its log of what it has sent: at most one line a while, and nothing is left out."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from aiokafka import TopicPartition
from structlog.testing import capture_logs

from service.ingest.log.sent import SentLog
from service.telemetry.events import LogEvent
from tests.support.waiting import until

pytestmark = pytest.mark.unit


def _line(sent: int, passed_over: int, rejected: int, *partitions: str) -> dict[str, Any]:
    return {
        "event": LogEvent.INGEST_SENT,
        "log_level": "info",
        "sent": sent,
        "passed_over": passed_over,
        "rejected": rejected,
        "partitions": list(partitions),
    }


async def test_the_first_is_told_at_once_and_the_rest_as_a_sum_later() -> None:
    told = SentLog(seconds=0.2)
    with capture_logs() as lines:
        told.add(Counter(sent=2, other=1), [TopicPartition("events", 1)])
        assert lines == [_line(2, 1, 0, "events/1")]
        told.add(Counter(sent=1, duplicate=3), [TopicPartition("events", 1)])
        told.add(Counter(rejected=1), [TopicPartition("events", 0)])
        assert len(lines) == 1
        await until(lambda: len(lines) == 2, seconds=10)
    assert lines[1] == _line(1, 3, 1, "events/0", "events/1")
    told.close()


async def test_what_is_left_is_told_at_the_end_and_nothing_is_told_of_nothing() -> None:
    told = SentLog(seconds=60)
    with capture_logs() as lines:
        told.add(Counter(), [TopicPartition("events", 0)])
        told.add(Counter(sent=1))
        told.add(Counter(unmatched=1))
        told.close()
        told.close()
    assert lines == [_line(1, 0, 0), _line(0, 1, 0)]
