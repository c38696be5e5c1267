"""Options of every Kafka client, from settings; and the one error for a broker that does not answer."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import (
    KafkaConnectionError,
    KafkaTimeoutError,
    NodeNotReadyError,
    RequestTimedOutError,
)

from contracts.deadletters import ROOM_BYTES
from service.errors import RetryLater
from service.kafka.connecting.credentials import fingerprint, security_options
from service.kafka.connecting.encoding import encode_in_one_piece
from service.kafka.connecting.listener import misfit
from service.kafka.connecting.reconnection import keep_connected
from service.kafka.connecting.refusals import login_not_taken, refusal_and_advice
from service.settings import KafkaSettings, TopicSettings
from service.words import in_words

_STOP_AGAIN_SECONDS = 1.0
_BATCH_BYTES = 256 * 1024
_CHECK = "check REELWIRE_KAFKA__BOOTSTRAP_SERVERS and REELWIRE_KAFKA__SECURITY_PROTOCOL, and that a broker runs there"
_UNREACHABLE = (KafkaConnectionError, KafkaTimeoutError, NodeNotReadyError, RequestTimedOutError, TimeoutError, OSError)


class BrokerUnavailable(RetryLater):
    """No Kafka broker answers, or none that our settings suit. `problem` and `todo` are the halves of the message."""

    def __init__(self, problem: str = "no Kafka broker answers", todo: str = _CHECK) -> None:
        self.problem, self.todo = problem, todo
        super().__init__(f"{problem}; {todo}" if todo else problem)


class AccessRefused(BrokerUnavailable):
    """A broker answers, and refuses our login or certificate, or we refuse the broker's."""


async def broker_unavailable(settings: KafkaSettings, error: BaseException) -> BrokerUnavailable:
    """What to raise when nobody answers at the configured addresses; `error` gives the last reason.

    Where that says little the listeners are asked, for at most two seconds: the client may only know that its
    connection was closed.
    """
    refused = refusal_and_advice(settings, error)
    if refused is not None and login_not_taken(error):  # the listener may be one without any login
        found = await misfit(settings)
        if found is not None:
            return AccessRefused(found.problem, found.todo)
    if refused is not None:
        why, todo = refused
        return AccessRefused(f"no access to Kafka at {settings.bootstrap_servers}: {why}", todo)
    found = await misfit(settings)
    if found is not None:
        return BrokerUnavailable(found.problem, found.todo)
    return BrokerUnavailable(f"no Kafka broker answers at {settings.bootstrap_servers}: {_why_unreachable(error)}")


def _why_unreachable(error: BaseException) -> str:
    """In words of ours: the client's texts hold its classes, and a `repr` of all addresses."""
    if isinstance(error, TimeoutError | KafkaTimeoutError | RequestTimedOutError):
        return "no answer in time"
    if isinstance(error, NodeNotReadyError):
        return "the broker is not ready"
    return in_words(error)


def is_unreachable(error: BaseException) -> bool:
    """Whether an error of a client means that the broker can't be reached, rather than that it refused."""
    return isinstance(error, _UNREACHABLE)


def largest_record_bytes(settings: KafkaSettings) -> int:
    """The largest record that is written to any topic: every topic but the requests takes it."""
    return settings.max_message_bytes + ROOM_BYTES


def client_options(settings: KafkaSettings) -> dict[str, Any]:
    """Options that consumers, producers and the admin client share. Raises `SettingsError` for unusable TLS files.

    A client that lives for long is made by `new_consumer` or `new_producer`, so that it outlives its brokers.
    """
    return {
        "bootstrap_servers": [part.strip() for part in settings.bootstrap_servers.split(",") if part.strip()],
        "client_id": settings.client_id,
        "request_timeout_ms": settings.request_timeout_ms,
        **security_options(settings),
    }


def new_consumer(settings: KafkaSettings, **options: Any) -> AIOKafkaConsumer:
    """A consumer, not yet started, that finds its brokers again wherever they are. `options` come before ours."""
    read = fingerprint(settings)
    consumer = AIOKafkaConsumer(**{**client_options(settings), **options})
    keep_connected(client_of(consumer), settings, read)
    return consumer


def new_member(
    settings: KafkaSettings, group_id: str, assignor: Any, fetch_bytes: int, **options: Any
) -> AIOKafkaConsumer:
    """A consumer that is a member of a group, not yet started: it reads committed records, and commits nothing itself.

    `fetch_bytes` is the most that one partition answers at once; all together eight times that.
    """
    return new_consumer(
        settings,
        # A join is answered when all members have joined, which takes up to the rebalance timeout.
        request_timeout_ms=max(settings.request_timeout_ms, settings.rebalance_timeout_ms + 5_000),
        group_id=group_id,
        auto_offset_reset="none",
        isolation_level="read_committed",
        enable_auto_commit=False,
        partition_assignment_strategy=(assignor,),
        session_timeout_ms=settings.session_timeout_ms,
        heartbeat_interval_ms=settings.heartbeat_interval_ms,
        rebalance_timeout_ms=settings.rebalance_timeout_ms,
        max_partition_fetch_bytes=fetch_bytes,
        fetch_max_bytes=8 * fetch_bytes,
        **options,
    )


def new_admin(settings: KafkaSettings, **options: Any) -> AIOKafkaAdminClient:
    """An admin client, not yet started, that finds its brokers again wherever they are. `options` come before ours."""
    read = fingerprint(settings)
    admin = AIOKafkaAdminClient(**{**client_options(settings), **options})
    keep_connected(client_of(admin), settings, read)
    return admin


def client_of(owner: AIOKafkaConsumer | AIOKafkaAdminClient) -> Any:
    """The `AIOKafkaClient` of a consumer or an admin client: what asks brokers, beside what its owner does."""
    return owner._client  # noqa: SLF001 - no public way


async def stop_consumer(consumer: AIOKafkaConsumer) -> None:
    """Stop a consumer. Never raises; bounded in time but for what the network takes.

    aiokafka's own `stop` cancels its tasks and waits for them. A fetcher that is canceled while it gives up an
    assignment drops that, and the wait has no end: then it is canceled again. A task that has not had its first turn,
    because the consumer was started just now, ends the wait with `CancelledError`: then the rest is closed here.
    """
    if await _ended(consumer.stop()):
        return
    for part in (consumer._fetcher, client_of(consumer)):  # noqa: SLF001 - what its own `stop` would have closed
        if part is not None:
            await _ended(part.close())


async def _ended(work: Coroutine[Any, Any, object]) -> bool:
    """Wait for `work`, and cancel what it waits for once a second. Whether it has ended without being canceled."""
    task = asyncio.ensure_future(work)
    while not (await asyncio.wait({task}, timeout=_STOP_AGAIN_SECONDS))[0]:
        task.cancel()
    return not task.cancelled() and task.exception() is None


def new_producer(settings: KafkaSettings, options: Mapping[str, Any]) -> AIOKafkaProducer:
    """A producer, not yet started, that finds its brokers again wherever they are.

    `options` are all of its options, from `producer_options` or `transactional_options`.
    """
    producer = AIOKafkaProducer(**options)
    encode_in_one_piece(producer.client)
    keep_connected(producer.client, settings, ())  # whatever is on disk is read before the first connection
    return producer


def producer_options(settings: KafkaSettings) -> dict[str, Any]:
    """Options of every producer: idempotent, nothing held back, records up to the largest any topic takes.

    A batch of several records stays below the smallest limit a topic may have, so that no record fails for
    the company it is in.
    """
    return {
        **client_options(settings),
        "enable_idempotence": True,
        "acks": "all",
        "linger_ms": 0,
        "max_batch_size": min(_BATCH_BYTES, settings.max_message_bytes),
        "max_request_size": largest_record_bytes(settings),
    }


def transactional_id(settings: KafkaSettings, partition: int) -> str:
    """The identity that fences a predecessor: one per group and input partition (docs/kafka-rules.md, rule 5)."""
    return f"{settings.group_id}-{partition}"


def transactional_options(settings: KafkaSettings, partition: int) -> Mapping[str, Any]:
    """Options of the producer of one input partition."""
    return {
        **producer_options(settings),
        "transactional_id": transactional_id(settings, partition),
        "transaction_timeout_ms": settings.transaction_timeout_ms,
    }


def written_topics(topics: TopicSettings) -> tuple[str, ...]:
    """The topics a partition's writer writes to, each with as many partitions as the requests topic."""
    return (
        topics.fragments, topics.completions, topics.progress, topics.dead_letters, topics.jobs, topics.finished,
        topics.handovers,
    )  # fmt: skip
