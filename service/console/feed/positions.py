"""Where the console begins to read: as far back as what it shows asks for, and no further. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from aiokafka import TopicPartition

Positions = dict[TopicPartition, int]

COST_DAYS: Final = 31
"""Completions of this many days are read, for what they have cost."""
MOST_COMPLETIONS: Final = 200_000
"""Offsets of the completions topic that are read at the start, of all partitions."""
STEPS_OF_ENDED: Final = 20
"""Offsets of the progress topic that are read at the start, for each ended request that is kept."""
LETTERS_BACK: Final = 20_000
"""Offsets of the dead-letter topic that are read at the start."""
FRAGMENTS_BACK_SECONDS: Final = 7_200.0
"""Fragments are read for the live requests, but no older ones than that."""


def of_topic(positions: Mapping[TopicPartition, int], topic: str) -> Positions:
    """Those of one topic."""
    return {where: at for where, at in positions.items() if where.topic == topic}


def latest(begin: Mapping[TopicPartition, int], end: Mapping[TopicPartition, int], most: int) -> Positions:
    """`begin`, moved on so that about `most` offsets in all are read, as many of each partition."""
    each = most // max(1, len(begin)) + 1
    return {where: max(at, end[where] - each) for where, at in begin.items()}


def fragments_since(accepted_ms: Iterable[int], now: float) -> float:
    """The time, in seconds since the epoch, from which on live text is read; `now` when nothing is live."""
    oldest = min(accepted_ms, default=None)
    return now if oldest is None else max(oldest / 1000 - 60, now - FRAGMENTS_BACK_SECONDS)


def redrives_since(
    sources: Mapping[int, int], begin: Mapping[TopicPartition, int], end: Mapping[TopicPartition, int]
) -> Positions:
    """Where redriven requests can be: behind the records that the letters came from, else at the end.

    A letter's partition may be one that the requests topic of today does not have: then it is taken from its number.
    """
    count = max(1, len(end))
    places: dict[int, int] = {}
    for partition, offset in sources.items():
        where = partition % count
        at = offset + 1 if where == partition else 0
        places[where] = min(at, places.get(where, at))
    return {where: min(max(begin[where], places.get(where.partition, last)), last) for where, last in end.items()}
