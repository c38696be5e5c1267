"""Writing one record until its topic takes it: asked before an attempt is paid for, when the topic may refuse.

The record must be in the topic exactly once, whatever happens on the way. So each partition has a producer of its own
here, which repeats a request without limit under the same sequence number: the broker drops a second copy. A broker
that refuses has written nothing, so a new producer may send the record again.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

import structlog

from service.kafka.ports import DeliveryFailed, OutRecord, RecordPosition
from service.kafka.writing.futures import consume, fail
from service.kafka.writing.producer import ProducerFailed
from service.kafka.writing.send_channel import Refused, SendChannel
from service.supervision import end_all
from service.telemetry.events import LogEvent

log = structlog.get_logger()

_FIRST_PAUSE_SECONDS = 0.1
_LONGEST_PAUSE_SECONDS = 5.0

Connect = Callable[[str], Awaitable[SendChannel]]
"""Opens a channel for one topic, whose producer never gives up. Raises `ProducerFailed`."""


class PartitionProof:
    """The records of one partition that wait for their topic. Ends by itself when none waits; never reused then."""

    def __init__(self, topic: str, partition: int, connect: Connect, on_end: Callable[[PartitionProof], None]) -> None:
        self.where = (topic, partition)
        self._topic = topic
        self._partition = partition
        self._connect = connect
        self._waiting: deque[tuple[OutRecord, asyncio.Future[RecordPosition]]] = deque()
        self._loop = asyncio.get_running_loop()
        self._told = False
        self._on_end = on_end
        self._task = asyncio.create_task(self._run(), name=f"proof-{topic}-{partition}")
        self._task.add_done_callback(self._finish)

    def __repr__(self) -> str:
        return f"<PartitionProof of {self._topic}/{self._partition}, {len(self._waiting)} waiting>"

    @property
    def ended(self) -> bool:
        """Whether it takes no more records."""
        return self._task.done()

    def add(self, record: OutRecord) -> asyncio.Future[RecordPosition]:
        """Resolves when the topic has taken `record`. See `LiveSender.prove` for what it fails with."""
        future: asyncio.Future[RecordPosition] = self._loop.create_future()
        consume(future)
        self._waiting.append((record, future))
        return future

    async def close(self) -> None:
        """Give up: what waits fails with `DeliveryFailed`. Never raises."""
        await end_all({self._task})

    async def _run(self) -> None:
        pause = _FIRST_PAUSE_SECONDS
        while self._waiting:
            try:
                await self._deliver()
                pause = _FIRST_PAUSE_SECONDS
            except (ProducerFailed, Refused) as error:
                if not self._told:
                    self._told = True
                    log.warning(LogEvent.TOPIC_REFUSES, topic=self._topic, partition=self._partition, reason=str(error))
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)

    async def _deliver(self) -> None:
        """Write what waits, with one producer. Raises when that producer is dead; what waits then still waits."""
        channel = await self._connect(self._topic)
        try:
            while self._waiting:
                batch = list(self._waiting)
                sent = [channel.add(record) for record, _ in batch]
                await asyncio.wait(sent)
                refused: Refused | None = None
                for (record, future), delivery in zip(batch, sent, strict=True):
                    error = delivery.exception()
                    if isinstance(error, Refused):
                        refused = error  # nothing of it is written: it may be sent again
                        continue
                    self._waiting.remove((record, future))
                    if error is None:
                        _resolve(future, delivery.result())
                    else:
                        fail(future, error)
                if refused is not None:
                    raise refused
            if self._told:
                self._told = False
                log.info(LogEvent.TOPIC_TAKES, topic=self._topic, partition=self._partition)
        finally:
            await channel.producer.kill()

    def _finish(self, task: asyncio.Task[None]) -> None:
        self._on_end(self)
        reason: BaseException = DeliveryFailed("the sender was closed")
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error(LogEvent.PROOF_FAILED, topic=self._topic, partition=self._partition, exc_info=error)
            reason = DeliveryFailed(f"an error of this program: {error}")
        for _, future in self._waiting:
            fail(future, reason)
        self._waiting.clear()


def _resolve(future: asyncio.Future[RecordPosition], position: RecordPosition) -> None:
    if not future.done():
        future.set_result(position)


class TopicProofs:
    """Every partition for which a record waits. One per sender."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect
        self._proofs: dict[tuple[str, int], PartitionProof] = {}

    async def prove(self, record: OutRecord) -> RecordPosition:
        where = (record.topic, record.partition)
        proof = self._proofs.get(where)
        if proof is None or proof.ended:
            proof = self._proofs[where] = PartitionProof(*where, self._connect, self._forget)
        return await asyncio.shield(proof.add(record))

    async def close(self) -> None:
        for proof in list(self._proofs.values()):
            await proof.close()

    def _forget(self, ended: PartitionProof) -> None:
        if self._proofs.get(ended.where) is ended:
            del self._proofs[ended.where]
