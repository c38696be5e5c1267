"""What intake holds of one partition at a time: several copies of a batch exist while it is written."""

from __future__ import annotations

from typing import Any, cast

import pytest

from service.kafka.partition.intake import Intake
from service.kafka.ports import InRecord
from service.kafka.topics.record_limits import TopicLimits
from service.settings import Settings
from service.telemetry.metrics import Metrics
from tests.support.clock import HandClock

pytestmark = pytest.mark.unit

MIB = 1024 * 1024
RECORD_BYTES = 300_000
LIMITS = TopicLimits({}, default_bytes=8 * MIB)


async def test_a_batch_of_large_records_ends_at_one_mebibyte_or_one_record_more() -> None:
    nothing = cast(Any, None)
    intake = Intake(
        0,
        settings=Settings(),
        jobs=nothing,
        finished=nothing,
        parked=nothing,
        limits=LIMITS,
        quarantined=frozenset(),
        metrics=Metrics(),
        clock=HandClock(),
    )
    records = [InRecord("requests", 0, n, 0, None, b"x" * RECORD_BYTES, ()) for n in range(40)]

    batches = [batch async for batch in intake.batches(records)]

    sizes = [sum(LIMITS.size(record) for record in batch.unit.records) for batch in batches]
    assert sum(batch.count for batch in batches) == len(records)
    assert max(sizes) < MIB + RECORD_BYTES + 10_000
    assert max(sizes) > MIB - RECORD_BYTES, "and not much earlier"
