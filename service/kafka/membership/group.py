"""The consumer of the requests topic as a member of the group, and what the group says is ours."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import (
    AuthenticationFailedError,
    ClusterAuthorizationFailedError,
    ConsumerStoppedError,
    GroupAuthorizationFailedError,
    InconsistentGroupProtocolError,
    InvalidGroupIdError,
    InvalidSessionTimeoutError,
    KafkaError,
    OffsetOutOfRangeError,
    SaslAuthenticationFailed,
    TopicAuthorizationFailedError,
    UnsupportedVersionError,
)

from service.clock import Clock
from service.errors import PartitionError, ProcessError
from service.kafka.connection import new_consumer
from service.kafka.membership.assignor import private_sticky_assignor
from service.kafka.membership.lease import GroupLease
from service.kafka.reading.fetched import Fetched
from service.kafka.reading.fetching import decode_with
from service.settings import Settings
from service.telemetry.events import LogEvent
from service.telemetry.metrics import Metrics

log = structlog.get_logger()

_FETCH_BYTES = 1024 * 1024  # of one partition; a larger batch is sent whole
_AGAIN_SECONDS = 1.0
_PROBE_SECONDS = 5.0
_STOP_SECONDS = 10.0
_PLACEHOLDER = 0

_HOPELESS = (
    AuthenticationFailedError,
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    InconsistentGroupProtocolError,
    InvalidGroupIdError,
    InvalidSessionTimeoutError,
    SaslAuthenticationFailed,
    TopicAuthorizationFailedError,
    UnsupportedVersionError,
)

Records = Mapping[TopicPartition, Sequence[Fetched]]


class Group:
    """One per process. Offsets are committed by the partitions' writers, never here."""

    def __init__(self, settings: Settings, metrics: Metrics, clock: Clock, lease: GroupLease | None = None) -> None:
        self._settings = settings
        self._lease = lease
        self._topic = settings.topics.requests
        self._metrics = metrics
        self._clock = clock
        self._consumer: AIOKafkaConsumer | None = None
        self._assignor = private_sticky_assignor()
        self._listener = _Listener(self)
        self._event = asyncio.Event()
        self._away_since: float | None = None
        self.assigned: frozenset[int] | None = None
        """The partitions that are ours; None while a rebalance is under way."""
        self.generation = 0
        """Grows at the beginning and at the end of each rebalance."""
        self.on_change: Callable[[], None] = lambda: None

    @property
    def consumer(self) -> AIOKafkaConsumer:
        """The consumer. Raises `PartitionError` before `start` and after `stop`."""
        if self._consumer is None:
            raise PartitionError("the group consumer is not running")
        return self._consumer

    async def start(self, give_up: Callable[[], bool]) -> None:
        """Connect, waiting for a broker if there is none, and join. Raises `ProcessError` if refused."""
        while not give_up():
            consumer = self._new_consumer()
            try:
                async with asyncio.timeout(self._settings.kafka.call_timeout_seconds):
                    await consumer.start()
                    decode_with(consumer, max_batch_bytes=self._settings.kafka.max_batch_bytes)
            except _HOPELESS as error:
                await consumer.stop()
                raise ProcessError(f"Kafka refuses us: {error!r}") from error
            except (KafkaError, TimeoutError, OSError) as error:
                await consumer.stop()
                self._mark_away(error)
                await self.wait_or_change(_AGAIN_SECONDS)
            else:
                self._mark_back()
                self._consumer = consumer
                if self._lease is not None:
                    self._lease.attach(consumer)
                consumer.subscribe([self._topic], listener=self._listener)
                return

    def _new_consumer(self) -> AIOKafkaConsumer:
        kafka = self._settings.kafka
        return new_consumer(
            kafka,
            # A join is answered when all members have joined, which takes up to the rebalance timeout.
            request_timeout_ms=max(kafka.request_timeout_ms, kafka.rebalance_timeout_ms + 5_000),
            group_id=kafka.group_id,
            auto_offset_reset="none",
            isolation_level="read_committed",
            enable_auto_commit=False,
            partition_assignment_strategy=(self._assignor,),
            session_timeout_ms=kafka.session_timeout_ms,
            heartbeat_interval_ms=kafka.heartbeat_interval_ms,
            rebalance_timeout_ms=kafka.rebalance_timeout_ms,
            max_partition_fetch_bytes=_FETCH_BYTES,
            fetch_max_bytes=8 * _FETCH_BYTES,
        )

    async def stop(self) -> None:
        """Leave the group. Never raises; bounded in time."""
        consumer, self._consumer = self._consumer, None
        self.assigned = frozenset()
        if consumer is None:
            return
        stopping = asyncio.create_task(consumer.stop())
        await asyncio.wait({stopping}, timeout=_STOP_SECONDS)
        stopping.cancel()
        await asyncio.wait({stopping})

    # What the group says

    def announce(self) -> None:
        """Wake everything that waits for a change."""
        event, self._event = self._event, asyncio.Event()
        event.set()

    async def settled(self, give_up: Callable[[], bool]) -> int:
        """Wait until the group has said what is ours (or `give_up`); the generation it said so in."""
        while self.assigned is None and not give_up():
            await self._event.wait()
        return self.generation

    async def changed_from(self, generation: int) -> None:
        """Wait for a rebalance, or for `announce`."""
        if self.generation == generation:
            await self._event.wait()

    async def wait_or_change(self, seconds: float) -> None:
        """Wait that long, or until something changes."""
        waiter = asyncio.create_task(self._event.wait())
        await asyncio.wait({waiter}, timeout=seconds)
        waiter.cancel()

    def rejoin(self, reason: str) -> None:
        """Go back through the group: partitions are assigned anew. At once; several calls make one rebalance."""
        if self.assigned is None or self._consumer is None:
            return
        log.warning(LogEvent.GROUP_REJOINING, reason=reason)
        self._metrics.rejoins.inc()
        self.revoked()
        self._consumer.subscribe([self._topic], listener=self._listener)

    def revoked(self) -> None:
        """A rebalance has begun."""
        self.assigned = None
        self.generation += 1
        self.announce()

    def given(self, partitions: Sequence[TopicPartition]) -> None:
        """A rebalance has ended. Synchronous from the listener's first statement on (Kafka rule 6).

        Records are handed out while a listener awaits; and without a position the consumer would look for a
        committed offset and fail for want of one.
        """
        consumer = self.consumer
        consumer.pause(*partitions)
        for where in partitions:
            consumer.seek(where, _PLACEHOLDER)
        # aiokafka forgets to: without it a member that was frozen takes its partitions back from its heir.
        self._assignor.on_generation_assignment(consumer._coordinator.generation)  # noqa: SLF001
        self.assigned = frozenset(where.partition for where in partitions)
        self.generation += 1
        log.info(LogEvent.GROUP_JOINED, partitions=sorted(self.assigned))
        self.announce()
        self.on_change()

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
            raise ProcessError(f"Kafka refuses us: {error!r}") from error
        except KafkaError as error:
            # aiokafka may have ended its heartbeats with this: only joining again starts them.
            self._mark_away(error)
            await asyncio.sleep(_AGAIN_SECONDS)
            self.rejoin(repr(error))
            return {}
        return records

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
        """The partition, if it is assigned just now: all else is an error to the consumer."""
        where = TopicPartition(self._topic, partition)
        if self._consumer is None or self.assigned is None or where not in self._consumer.assignment():
            return None
        return where

    # Offsets

    async def committed(self, partition: int) -> int | None:
        """The group's committed offset; None if it never committed. Raises `PartitionError`."""
        try:
            async with asyncio.timeout(self._settings.kafka.call_timeout_seconds):
                offset: int | None = await self.consumer.committed(TopicPartition(self._topic, partition))
        except (KafkaError, TimeoutError) as error:
            raise PartitionError(f"the committed offset of partition {partition} is unknown: {error!r}") from error
        return offset

    async def ends(self, partitions: Sequence[int]) -> dict[int, int] | None:
        """The end offsets of `partitions` (any one, if none are given); None while no broker answers."""
        places = [TopicPartition(self._topic, partition) for partition in partitions or (0,)]
        try:
            async with asyncio.timeout(_PROBE_SECONDS):
                found: dict[TopicPartition, int] = await self.consumer.end_offsets(places)
        except (KafkaError, TimeoutError, OSError) as error:
            self._mark_away(error)
            return None
        self._mark_back()
        return {where.partition: offset for where, offset in found.items()}

    async def until_reachable(self, give_up: Callable[[], bool]) -> None:
        """Wait until a broker answers. Said once in the log, and shown in the metrics."""
        while not give_up() and await self.ends(()) is None:
            await self.wait_or_change(_AGAIN_SECONDS)

    def position(self, partition: int) -> int | None:
        """The next offset to fetch, as far as it is known without asking."""
        where = self._where(partition)
        if where is None:
            return None
        # `AIOKafkaConsumer.position` is the same behind an await that may wait.
        subscription = self.consumer._subscription.subscription  # noqa: SLF001
        state = subscription.assignment.state_value(where)
        position: int | None = state.position if state.has_valid_position else None
        return position

    def _mark_away(self, error: BaseException) -> None:
        self._metrics.broker_reachable.set(0)
        if self._away_since is None:
            self._away_since = self._clock.monotonic()
            log.warning(LogEvent.BROKER_UNREACHABLE, reason=repr(error), servers=self._settings.kafka.bootstrap_servers)

    def _mark_back(self) -> None:
        self._metrics.broker_reachable.set(1)
        if self._away_since is not None:
            log.info(LogEvent.BROKER_BACK, seconds=round(self._clock.monotonic() - self._away_since, 1))
            self._away_since = None


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]
    """Only passes on: aiokafka swallows a listener's exceptions, and hands out records while it awaits."""

    def __init__(self, group: Group) -> None:
        self._group = group

    def on_partitions_revoked(self, revoked: object) -> None:
        self._group.revoked()

    def on_partitions_assigned(self, assigned: Sequence[TopicPartition]) -> None:
        self._group.given(list(assigned))
