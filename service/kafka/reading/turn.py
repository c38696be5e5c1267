"""How much is decoded before the event loop gets its turn."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from service.kafka.reading.fetched import Fetched, fetched_bytes
from service.slices import SLICE_SECONDS

TURN_BYTES = 4 * 1024 * 1024


class Turn:
    """Shared by all partitions of a consumer. It begins with the first record, and ends when the event loop goes on.

    aiokafka reads up to the number of records that it was asked for, from one partition after the other, without
    waiting in between. A record may cost a thousand times as much as another: time and bytes count, not records.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._until: float | None = None
        self._bytes = 0

    def read(self, result: Any, max_records: int | None) -> list[Fetched]:
        """Takes the place of `getall` of `result`, one of aiokafka's. Empty when the turn is over: ask again later."""
        records: list[Fetched] = []
        while (max_records is None or len(records) < max_records) and not self._over():
            record: Fetched | None = result.getone()
            if record is None:
                break
            records.append(record)
            self._bytes += fetched_bytes(record)
        return records

    def _over(self) -> bool:
        if self._until is None:
            self._until = self._clock() + SLICE_SECONDS
            self._bytes = 0
            asyncio.get_running_loop().call_soon(self._end)
        return self._bytes >= TURN_BYTES or (self._bytes > 0 and self._clock() >= self._until)

    def _end(self) -> None:
        self._until = None
