"""In topics that were copied to another cluster, places of records are others: nobody gets another one's answer."""

from __future__ import annotations

from typing import cast

import pytest

from service.kafka.logs.finished import KafkaFinishedLog
from service.kafka.logs.point_reader import PointReader
from service.kafka.ports import FinishedRecord, Headers, InRecord, RecordPosition
from service.telemetry.metrics import Metrics
from tests.support.clock import HandClock

pytestmark = pytest.mark.unit

TOPIC = "completions"


class OneRecord:
    """A topic that has the same record at every place."""

    topic = TOPIC

    def __init__(self, headers: Headers) -> None:
        self._headers = headers

    async def at(self, partition: int, offset: int) -> InRecord:
        return InRecord(TOPIC, partition, offset, 0, b"key", b"{}", self._headers)


@pytest.mark.parametrize(("subject", "given"), [(b"mine", True), (b"another", False)])
async def test_a_completion_is_given_to_its_request_only(subject: bytes, *, given: bool) -> None:
    reader = cast("PointReader", OneRecord((("ce_id", b"0-1-completion"), ("ce_subject", subject))))
    log = KafkaFinishedLog(0, dedup_hours=1, finished=reader, completions=reader, metrics=Metrics(), clock=HandClock())
    ended = FinishedRecord("mine", "digest", RecordPosition(TOPIC, 0, 4), 0)

    assert (await log.completion(ended) is not None) == given
