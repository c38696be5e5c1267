"""Which record of a unit is larger than its topic takes: asked before anything of it is sent."""

from __future__ import annotations

from collections.abc import Sequence

from service.kafka.ports import OutRecord, RecordLimits, RecordTooLarge


def too_large(records: Sequence[OutRecord], limits: RecordLimits) -> RecordTooLarge | None:
    """The refusal of the first record that does not fit; None when all fit."""
    for index, record in enumerate(records):
        size, limit = limits.size(record), limits.of(record.topic)
        if size > limit:
            return RecordTooLarge(record.topic, size, limit, index=index)
    return None
