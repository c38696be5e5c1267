"""Options of a producer that decide how large its batches are and how they are compressed."""

from __future__ import annotations

from typing import Any

from service.kafka.topics.record_limits import TopicLimits, codec_bytes
from service.settings import TopicSettings
from service.settings.sections import Compression

_BATCH_BYTES = 256 * 1024


def batch_options(topics: TopicSettings, limits: TopicLimits, compression: Compression) -> dict[str, Any]:
    """A batch of several records stays below the limit of every topic that is written to.

    So no record is refused for the company it is in. One that is larger than a batch goes alone. Room is left for what
    a codec adds to bytes that do not compress.
    """
    written = (
        topics.fragments, topics.completions, topics.progress, topics.dead_letters, topics.jobs, topics.finished,
        topics.assets, topics.handovers, topics.ledger,
    )  # fmt: skip
    smallest = limits.smallest(written)
    return {
        "max_batch_size": min(_BATCH_BYTES, smallest - codec_bytes(smallest)),
        "max_request_size": limits.largest(written),
        "compression_type": None if compression == "none" else compression,
    }
