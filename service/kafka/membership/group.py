"""The consumer of the requests topic: a member of the group, the source of records, and of what the group says."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import (
    ConsumerStoppedError,
    GroupAuthorizationFailedError,
    InconsistentGroupProtocolError,
    InvalidGroupIdError,
    InvalidSessionTimeoutError,
    KafkaError,
    OffsetOutOfRangeError,
    UnsupportedVersionError,
)

from contracts.limits import MAX_READ_HEADERS
from service.clock import Clock
from service.errors import PartitionError, ProcessError, RetryLater
from service.kafka.connecting.connection import client_of, new_member, stop_consumer
from service.kafka.connecting.reconnection import trouble_of
from service.kafka.connecting.refusals import DENIED, missing_right, reading_words, refusal
from service.kafka.membership.assignment import Assignment
from service.kafka.membership.assignor import private_sticky_assignor
from service.kafka.membership.broker_reach import LIMIT_SECONDS, BrokerReach
from service.kafka.membership.lease import GroupLease
from service.kafka.other_clients.deployments import refuse_strangers
from service.kafka.other_clients.open_transactions import Ends, OpenTransaction, ends_of, open_transactions
from service.kafka.other_clients.topic_names import TopicNames
from service.kafka.reading.fetched import Fetched
from service.kafka.reading.fetching import decode_with
from service.settings import Settings
from service.supervision import end_all
from service.telemetry.events import LogEvent
from service.telemetry.metrics import Metrics
from service.words import in_words

log = structlog.get_logger()

_FETCH_BYTES = 1024 * 1024  # of one partition; a larger batch is sent whole
_AGAIN_SECONDS = 1.0
_STOP_SECONDS = 10.0
_PLACEHOLDER = 0

_HOPELESS = (
    InconsistentGroupProtocolError,
    InvalidGroupIdError,
    InvalidSessionTimeoutError,
    UnsupportedVersionError,
)

Records = Mapping[TopicPartition, Sequence[Fetched]]


class Group:
    """One per process. Tells `assignment` what the group says. Offsets are committed by the writers, never here."""

    def __init__(
        self,
        settings: Settings,
        metrics: Metrics,
        clock: Clock,
        *,
        assignment: Assignment,
        on_assigned: Callable[[], None],
        on_revoked: Callable[[], Awaitable[None]],
        lease: GroupLease | None = None,
    ) -> None:
        """`on_assigned` is called at the end of each rebalance, when `assignment` is up to date; it must not block.

        `on_revoked` is awaited at the beginning of each, before the group is told that our partitions are free.
        """
        self.assignment = assignment
        self.reach = BrokerReach(settings.kafka, metrics, clock, self._ask, self._why_refused)
        self._settings = settings
        self._lease = lease
        self._topic = settings.topics.requests
        self._metrics = metrics
        self._on_assigned = on_assigned
        self._on_revoked = on_revoked
        self._consumer: AIOKafkaConsumer | None = None
        self._denied: str | None = None
        self._start_refused: str | None = None
        self._assignor = private_sticky_assignor(TopicNames.of(settings.topics))
        self._listener = _Listener(self)

    @property
    def consumer(self) -> AIOKafkaConsumer:
        """The consumer. Raises `PartitionError` before `start` and after `stop`."""
        if self._consumer is None:
            raise PartitionError("the group consumer is not running")
        return self._consumer

    async def start(self, give_up: Callable[[], bool]) -> None:
        """Connect, waiting for a broker if there is none, and join. Returns early when `give_up` says so.

        Raises `ProcessError` when Kafka refuses us, or when a deployment with other topics is using the group.
        """
        while not give_up():
            consumer = self._new_consumer()
            ready = False
            try:
                async with asyncio.timeout(self._settings.kafka.call_timeout_seconds):
                    await consumer.start()
                    decode_with(
                        consumer,
                        max_batch_bytes=self._settings.kafka.max_batch_bytes,
                        max_headers=MAX_READ_HEADERS,
                    )
                await refuse_strangers(self._settings)
                ready = True
            except _HOPELESS as error:
                raise _refused(error) from error
            except (KafkaError, TimeoutError, OSError, RetryLater) as error:
                self._start_refused = refusal(self._settings.kafka, error)
                self.reach.mark_away(reading_words(error))
            finally:
                if not ready:  # also when the start is cancelled
                    await stop_consumer(consumer)
            if ready:
                self._consumer, self._start_refused = consumer, None
                self.reach.mark_back()
                if self._lease is not None:
                    self._lease.attach(consumer)
                consumer.subscribe([self._topic], listener=self._listener)
                return
            await self.assignment.wait_or_change(_AGAIN_SECONDS)

    def _new_consumer(self) -> AIOKafkaConsumer:
        kafka = self._settings.kafka
        return new_member(kafka, kafka.group_id, self._assignor, _FETCH_BYTES)

    async def stop(self) -> None:
        """Leave the group. Never raises; bounded in time."""
        consumer, self._consumer = self._consumer, None
        self.assignment.close()
        if consumer is None:
            return
        stopping = asyncio.create_task(stop_consumer(consumer))
        await asyncio.wait({stopping}, timeout=_STOP_SECONDS)
        await end_all({stopping})

    # What the group says

    def rejoin(self, reason: str) -> None:
        """Go back through the group: partitions are assigned anew. Returns at once; several calls count as one."""
        if not self.assignment.joined or self._consumer is None:
            return
        log.warning(LogEvent.GROUP_REJOINING, reason=reason)
        self._metrics.rejoins.inc()
        self.assignment.revoked()
        self._consumer.subscribe([self._topic], listener=self._listener)

    async def revoked(self) -> None:
        """A rebalance begins. `assignment` says so before anything is awaited."""
        self.assignment.revoked()
        await self._on_revoked()

    def given(self, partitions: Sequence[TopicPartition]) -> None:
        """A rebalance has ended. Synchronous from the listener's first statement on (docs/kafka-rules.md, rule 6).

        Records are handed out while a listener awaits; and without a position the consumer would look for a
        committed offset and fail if there is none.
        """
        consumer = self.consumer
        consumer.pause(*partitions)
        for where in partitions:
            consumer.seek(where, _PLACEHOLDER)
        # aiokafka does not: without it a member that was frozen takes its partitions back from their new owner.
        self._assignor.on_generation_assignment(consumer._coordinator.generation)  # noqa: SLF001 - no public way
        ours = sorted(where.partition for where in partitions)
        log.info(LogEvent.GROUP_JOINED, partitions=ours)
        self.assignment.given(ours)
        self._on_assigned()

    # Records

    async def poll(self, timeout_ms: int, max_records: int, on_out_of_range: Callable[[int], None]) -> Records:
        """The next records. Waits while there is no broker. Raises `ProcessError` for what can't be healed."""
        try:
            records: Records = await self.consumer.getmany(timeout_ms=timeout_ms, max_records=max_records)
        except OffsetOutOfRangeError as error:
            for where in error.args[0]:
                on_out_of_range(where.partition)
            return {}
        except ConsumerStoppedError:
            return {}
        except _HOPELESS as error:
            raise _refused(error) from error
        except DENIED as error:
            await self._wait_for_rights(error)
            return {}
        except KafkaError as error:
            # aiokafka may have ended its heartbeats with this: only joining again starts them.
            self.reach.mark_away(in_words(error))
            await asyncio.sleep(_AGAIN_SECONDS)
            self.rejoin(in_words(error))
            return {}
        if records:
            self._denied = None
        return records

    async def _wait_for_rights(self, error: KafkaError) -> None:
        """A right was taken away. It may come back, and what runs may go on until then: nothing is given up."""
        denied = missing_right(error, "READ") or in_words(error)
        if denied != self._denied:
            self._denied = denied
            log.error(LogEvent.READING_REFUSED, reason=denied)
        await asyncio.sleep(_AGAIN_SECONDS)
        if isinstance(error, GroupAuthorizationFailedError):
            self.rejoin(denied)  # its heartbeats have ended with this

    def pause(self, partition: int) -> None:
        where = self._where(partition)
        if where is not None and where not in self.consumer.paused():
            self.consumer.pause(where)

    def resume(self, partition: int) -> None:
        where = self._where(partition)
        if where is not None and where in self.consumer.paused():
            self.consumer.resume(where)

    def is_paused(self, partition: int) -> bool:
        where = self._where(partition)
        return where is None or where in self.consumer.paused()

    def seek(self, partition: int, offset: int) -> None:
        where = self._where(partition)
        if where is not None:
            self.consumer.seek(where, offset)

    def _where(self, partition: int) -> TopicPartition | None:
        """The partition, if it is assigned at this moment: anything else is an error to the consumer."""
        where = TopicPartition(self._topic, partition)
        if self._consumer is None or not self.assignment.joined or where not in self._consumer.assignment():
            return None
        return where

    # Offsets

    async def committed(self, partition: int) -> int | None:
        """The group's committed offset; None if it never committed. Raises `PartitionError`."""
        try:
            async with asyncio.timeout(self._settings.kafka.call_timeout_seconds):
                offset: int | None = await self.consumer.committed(TopicPartition(self._topic, partition))
        except (KafkaError, TimeoutError) as error:
            raise PartitionError(
                f"the committed offset of partition {partition} is unknown: {reading_words(error)}"
            ) from error
        return offset

    async def ends(self, partitions: Sequence[int]) -> dict[int, Ends] | None:
        """Where `partitions` end, without those whose leader can't be asked; None while no broker answers."""
        try:
            async with asyncio.timeout(LIMIT_SECONDS):
                client = client_of(self.consumer)
                return await ends_of(client, self._topic, partitions, limit_seconds=LIMIT_SECONDS / 3)
        except (KafkaError, TimeoutError, OSError, PartitionError):
            return None

    def input_partitions(self) -> int:
        """How many partitions the requests topic has, as far as it is known; else 0."""
        return 0 if self._consumer is None else len(self._consumer.partitions_for_topic(self._topic) or ())

    async def transactions_in(self, partition: int) -> list[OpenTransaction] | None:
        """The open transactions with records in a partition; None when they can't be found out now."""
        try:
            async with asyncio.timeout(LIMIT_SECONDS):
                return await open_transactions(client_of(self.consumer), self._topic, partition)
        except (KafkaError, TimeoutError, OSError, PartitionError, NotImplementedError):
            return None

    async def until_reachable(self, give_up: Callable[[], bool]) -> None:
        """Wait until a broker answers. The outage is logged once and shown in metrics and health."""
        while not give_up() and not await self.reach.asked():
            await self.assignment.wait_or_change(_AGAIN_SECONDS)

    async def _ask(self) -> bool:
        """Ask for the metadata of our topics: of any broker, and of the bootstrap servers when none answers."""
        answered: bool = await client_of(self.consumer).force_metadata_update()
        return answered

    def _why_refused(self) -> str | None:
        """Why brokers that answer refuse our connections; None while they do not."""
        if self._consumer is None:
            return self._start_refused
        trouble = trouble_of(client_of(self._consumer))
        return None if trouble is None else refusal(self._settings.kafka, trouble)

    def position(self, partition: int) -> int | None:
        """The next offset to fetch, as far as it is known without asking."""
        where = self._where(partition)
        if where is None:
            return None
        subscription = self.consumer._subscription.subscription  # noqa: SLF001 - its own `position` may wait
        state = subscription.assignment.state_value(where)
        position: int | None = state.position if state.has_valid_position else None
        return position


def _refused(error: KafkaError) -> ProcessError:
    reason = in_words(error)
    return ProcessError(
        f"the group does not take us: {reason}; check REELWIRE_KAFKA__GROUP_ID, "
        "REELWIRE_KAFKA__SESSION_TIMEOUT_MS, and who else is in the group"
    )


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka has no types
    """Passes on at once: aiokafka swallows a listener's exceptions, and hands out records while it awaits."""

    def __init__(self, group: Group) -> None:
        self._group = group

    async def on_partitions_revoked(self, revoked: object) -> None:
        await self._group.revoked()

    def on_partitions_assigned(self, assigned: Sequence[TopicPartition]) -> None:
        self._group.given(list(assigned))
