"""Finding where a log can be read again behind a damaged place.

The length and the offsets of a batch are not covered by its checksum, and a broker finds batches by them: damage there
makes it answer with nothing, with half a batch or with an error, for every offset up to its next index entry.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import structlog
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError
from aiokafka.protocol.fetch import FetchRequest

from service.kafka.reading.batches import Fetch, bases, frames, prepare
from service.kafka.reading.fetched import UnreadableRange
from service.kafka.reading.response import take_bytes
from service.telemetry.events import LogEvent

log = structlog.get_logger()

_PROBE_BYTES = 2 * 1024 * 1024
_WAIT_MS = 100


class DamageSearch:
    """Asks the leader of a partition directly, a few times for each damage."""

    def __init__(self, client: Any) -> None:
        self._client = client

    async def gap(self, fetch: Fetch, damaged: UnreadableRange | None, *, stable_end: int) -> UnreadableRange | None:
        """What to pass over so that reading can go on behind `fetch.offset`.

        `damaged` is the batch that was fetched there, if its bytes could be had. None when reading may go on there
        after all, or when it can't be found out just now: then the caller fetches again.
        """
        offset = fetch.offset if damaged is None else damaged.offset
        try:
            first = await self._fetch(fetch, offset, at_least=len(fetch.data))
            if damaged is None and prepare(first, budget_bytes=1, max_batch_bytes=1).pieces:
                return None
            until = await self._readable_from(fetch, offset, first, stable_end)
        except (KafkaError, TimeoutError) as error:
            log.warning(LogEvent.DAMAGE_SEARCH_FAILED, topic=fetch.topic, partition=fetch.partition, reason=str(error))
            return None
        if damaged is not None:
            return replace(damaged, last_offset=until - 1)
        whole, _ = frames(first.data)
        raw = bytes(whole[0].data) if whole else first.data or None
        reason = "the broker can't read this place of the log: it was damaged"
        return UnreadableRange(fetch.topic, fetch.partition, offset, until - 1, reason, raw)

    async def _readable_from(self, fetch: Fetch, offset: int, first: Fetch, end: int) -> int:
        """The first offset behind `offset` at which a batch begins, as far as the broker can find one; else `end`."""
        seen = _next_base(first, offset, end)
        if seen is not None:
            return seen
        bad, step = offset, 1
        while True:
            probe = offset + step
            if probe >= end:
                return end
            seen = _next_base(await self._fetch(fetch, probe), offset, end)
            if seen is not None:
                break
            bad, step = probe, 2 * step
        good = probe
        while good - bad > 1:  # everything up to `bad` is out of reach, `good` is not
            middle = (bad + good) // 2
            found = _next_base(await self._fetch(fetch, middle), offset, end)
            if found is None:
                bad = middle
            else:
                good, seen = middle, min(seen, found)
        return seen

    async def _fetch(self, fetch: Fetch, offset: int, at_least: int = 0) -> Fetch:
        """What the leader has from `offset` on. Raises `KafkaError` when it can't be asked."""
        where = TopicPartition(fetch.topic, fetch.partition)
        node = self._client.cluster.leader_for_partition(where)
        if node is None or node == -1:
            raise KafkaError("the partition has no leader")
        size = _PROBE_BYTES + at_least
        topics = [(fetch.topic, [(fetch.partition, offset, size)])]
        request = FetchRequest(_WAIT_MS, 1, size, 0, topics, rack_id="")
        (part,) = take_bytes(request, await self._client.send(node, request))
        if not part.may_be_damage:
            raise KafkaError(f"the leader answers with error {part.error_code}")
        return Fetch(fetch.topic, fetch.partition, offset, max(part.end, fetch.end), part.data)


def _next_base(fetch: Fetch, offset: int, end: int) -> int | None:
    """The first batch in these bytes that begins behind `offset`."""
    return min((base for base in bases(fetch.data) if offset < base < end), default=None)
