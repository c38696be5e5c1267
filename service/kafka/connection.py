"""Options of every Kafka client, from settings; and the one error for a broker that does not answer."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import Any

from aiokafka.errors import (
    KafkaConnectionError,
    KafkaTimeoutError,
    NodeNotReadyError,
    RequestTimedOutError,
)

from contracts.deadletters import ROOM_BYTES
from service.errors import RetryLater, SettingsError
from service.settings import KafkaSettings, TopicSettings

_BATCH_BYTES = 256 * 1024
_UNREACHABLE = (KafkaConnectionError, KafkaTimeoutError, NodeNotReadyError, RequestTimedOutError, TimeoutError, OSError)


class BrokerUnavailable(RetryLater):
    """No Kafka broker answers."""


def broker_unavailable(settings: KafkaSettings, error: BaseException) -> BrokerUnavailable:
    """What to raise when nobody answers at the configured addresses; `error` gives the last reason."""
    reason = str(error) or type(error).__name__
    return BrokerUnavailable(f"no Kafka broker answers at {settings.bootstrap_servers}: {reason}")


def is_unreachable(error: BaseException) -> bool:
    """Whether an error of a client means that the broker can't be reached, rather than that it refused."""
    return isinstance(error, _UNREACHABLE)


def largest_record_bytes(settings: KafkaSettings) -> int:
    """The largest record that is written to any topic: every topic but the requests takes it."""
    return settings.max_message_bytes + ROOM_BYTES


def client_options(settings: KafkaSettings) -> dict[str, Any]:
    """Options that consumers, producers and the admin client share. Raises `SettingsError` for unusable TLS files."""
    options: dict[str, Any] = {
        "bootstrap_servers": [part.strip() for part in settings.bootstrap_servers.split(",") if part.strip()],
        "client_id": settings.client_id,
        "request_timeout_ms": settings.request_timeout_ms,
        "security_protocol": settings.security_protocol,
    }
    if settings.security_protocol in ("SSL", "SASL_SSL"):
        options["ssl_context"] = _tls(settings)
    if settings.security_protocol.startswith("SASL"):
        options["sasl_mechanism"] = settings.sasl_mechanism
        options["sasl_plain_username"] = settings.sasl_username
        password = settings.sasl_password
        options["sasl_plain_password"] = password.get_secret_value() if password else None
    return options


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
    """The identity that fences a predecessor: one per group and input partition (architecture, Kafka rule 5)."""
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
    return (topics.fragments, topics.completions, topics.progress, topics.dead_letters, topics.jobs, topics.finished)


def _tls(settings: KafkaSettings) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=str(settings.ssl_cafile) if settings.ssl_cafile else None)
        if settings.ssl_certfile:
            key = str(settings.ssl_keyfile) if settings.ssl_keyfile else None
            context.load_cert_chain(str(settings.ssl_certfile), key)
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(f"kafka.ssl_*: can't read the certificates: {error}") from None
    return context
