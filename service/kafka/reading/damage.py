"""Finding the offset at which a log can be read again behind damage.

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

from service.kafka.reading.batches import Fetch, Piece, gap_piece, next_sound, prepare
from service.kafka.reading.fetched import UnreadableRange
from service.kafka.reading.response import take_bytes
from service.telemetry.events import LogEvent
from service.words import in_words

log = structlog.get_logger()

_PROBE_BYTES = 2 * 1024 * 1024
_WAIT_MS = 100
_FARTHEST_BACK = 4_096


class DamageSearch:
    """Asks the leader of a partition directly, a few times for each damage."""

    def __init__(self, client: Any, *, max_batch_bytes: int) -> None:
        self._client = client
        self._max_batch_bytes = max_batch_bytes

    async def pieces(self, fetch: Fetch, *, end: int) -> list[Piece]:
        """How reading goes on from `fetch.offset`, where nothing could be read: a range, or records after all.

        `end` is where the log ends for this reader. Empty when it can't be found out just now; the caller fetches
        again.
        """
        try:
            first = await self._fetch(fetch, fetch.offset, end)
            found = self._prepare(first) or await self._from_before(fetch, end)
            return found or [await self._gap(fetch, first, end)]
        except (KafkaError, TimeoutError) as error:
            log.warning(
                LogEvent.DAMAGE_SEARCH_FAILED, topic=fetch.topic, partition=fetch.partition, reason=in_words(error)
            )
            return []

    def _prepare(self, fetch: Fetch) -> list[Piece]:
        return prepare(fetch, budget_bytes=_PROBE_BYTES, max_batch_bytes=self._max_batch_bytes).pieces

    async def _from_before(self, fetch: Fetch, end: int) -> list[Piece]:
        """Read over the damage: a fetch from before it sends the bytes of the log as they are."""
        back = 1
        while back <= _FARTHEST_BACK and back <= fetch.offset:
            before = await self._fetch(fetch, fetch.offset - back, end)
            sound = next_sound(before.data, 0, fetch.offset, end)
            if sound is not None:
                position, base = sound
                rest = self._prepare(replace(before, offset=max(base, fetch.offset), data=before.data[position:]))
                if base <= fetch.offset:
                    return rest
                return [gap_piece(self._range(fetch, base, None)), *rest]
            back *= 2
        return []

    async def _gap(self, fetch: Fetch, first: Fetch, end: int) -> Piece:
        """The range up to the first offset at which the broker finds a sound batch again, else up to `end`."""
        bad, step = fetch.offset, 1
        while (good := min(bad + step, end)) < end and await self._base_at(fetch, good, end) is None:
            bad, step = good, 2 * step
        until = end if good == end else good
        while until - bad > 1 and good < end:  # nothing up to `bad`, something at `until`
            middle = (bad + until) // 2
            if await self._base_at(fetch, middle, end) is None:
                bad = middle
            else:
                until = middle
        base = None if until >= end else await self._base_at(fetch, until, end)
        return gap_piece(self._range(fetch, end if base is None else base, first.data or None))

    async def _base_at(self, fetch: Fetch, offset: int, end: int) -> int | None:
        """The first offset of the first sound batch that a fetch from `offset` sends."""
        probed = await self._fetch(fetch, offset, end)
        sound = next_sound(probed.data, 0, offset, end)
        return None if sound is None else max(sound[1], offset)

    def _range(self, fetch: Fetch, until: int, raw: bytes | None) -> UnreadableRange:
        reason = "the broker can't read this place of the log: it was damaged"
        return UnreadableRange(fetch.topic, fetch.partition, fetch.offset, until - 1, reason, raw)

    async def _fetch(self, fetch: Fetch, offset: int, end: int) -> Fetch:
        """What the leader has from `offset` on. Raises `KafkaError` when it can't be asked."""
        where = TopicPartition(fetch.topic, fetch.partition)
        node = self._client.cluster.leader_for_partition(where)
        if node is None or node == -1:
            raise KafkaError("the partition has no leader")
        topics = [(fetch.topic, [(fetch.partition, offset, _PROBE_BYTES)])]
        request = FetchRequest(_WAIT_MS, 1, _PROBE_BYTES, 0 if fetch.aborted is None else 1, topics, rack_id="")
        (part,) = take_bytes(request, await self._client.send(node, request))
        if not part.may_be_damage:
            raise KafkaError(f"the leader answers with error {part.error_code}")
        aborted = None if fetch.aborted is None else part.aborted or ()
        return Fetch(fetch.topic, fetch.partition, offset, end, part.data, aborted, fetch.max_headers)
