"""Keeps an aiokafka client connected: new addresses are learnt from the bootstrap servers, secrets from disk.

aiokafka asks the bootstrap servers once, at its start, and keeps the secrets of that moment. When all brokers come
back under new addresses (a cluster that was moved, pods that were all replaced), or a certificate is renewed, such a
client tries the old ones for ever. Here it is healed in place, so consumers keep their membership and producers
their epoch. This leans on the inside of aiokafka 0.14; `tests/kafka/test_aiokafka_internals.py` holds what it leans on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import structlog
from aiokafka.client import ConnectionGroup
from aiokafka.conn import CloseReason, create_conn
from aiokafka.errors import KafkaError
from aiokafka.protocol.metadata import MetadataRequest
from aiokafka.structs import BrokerMetadata

from service.errors import SettingsError
from service.kafka.connecting.credentials import Fingerprint, fingerprint, security_options
from service.settings import KafkaSettings
from service.supervision import end_all
from service.telemetry.events import LogEvent
from service.words import in_words

log = structlog.get_logger()

UNREACHABLE_SECONDS = 2.0
"""After every known broker was unreachable for that long, the bootstrap servers are asked again."""

ROUND_SECONDS = 5.0
"""Longest search for a known broker that answers. aiokafka asks one after another, and waits long for each."""


def keep_connected(client: Any, settings: KafkaSettings, read: Fingerprint) -> None:
    """Make a client of aiokafka, not yet started, find its brokers again after an outage.

    `read` is the fingerprint of the credentials that the client was made with.
    """
    Reconnection(client, settings, read).attach()


class Reconnection:
    """Belongs to one `AIOKafkaClient` and replaces two of its methods on the instance."""

    def __init__(self, client: Any, settings: KafkaSettings, read: Fingerprint) -> None:
        self._client = client
        self._settings = settings
        self._limit_seconds = settings.connect_timeout_ms / 1000
        self._read = read
        self._connect = client._get_conn  # noqa: SLF001
        self._update = client._metadata_update  # noqa: SLF001
        self._unreachable_since: float | None = None
        self._told = False

    def attach(self) -> None:
        """Begin. Called once."""
        self._client._get_conn = self._get_conn  # noqa: SLF001
        self._client._metadata_update = self._metadata_update  # noqa: SLF001

    async def _get_conn(self, node_id: Any, **options: Any) -> Any:
        """In place of the client's: the connection to a broker, None if it can't be had within the limit.

        aiokafka would wait for the request timeout at an address that swallows packets, which for the group's
        consumer is longer than a whole rebalance.
        """
        client = self._client
        conn = client._conns.get((node_id, options.get("group", ConnectionGroup.DEFAULT)))  # noqa: SLF001
        if conn is not None and conn.connected():
            return conn
        self._renew_credentials()
        try:
            async with asyncio.timeout(self._limit_seconds):
                return await self._connect(node_id, **options)
        except TimeoutError:
            client.force_metadata_update()
            return None

    async def _metadata_update(self, cluster: Any, topics: Iterable[str]) -> bool:
        """In place of the client's: ask the known brokers, and the bootstrap servers when none answers.

        Never raises: the task of aiokafka that calls it would end, and every wait for metadata last for ever.
        """
        try:
            return await self._asked_known(cluster, topics) or await self._asked_bootstrap(cluster, topics)
        except Exception as error:
            log.error(LogEvent.METADATA_FAILED, reason=in_words(error), exc_info=error)
            return False

    async def _asked_known(self, cluster: Any, topics: Iterable[str]) -> bool:
        """Let aiokafka ask the known brokers, for some seconds."""
        begun = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(min(ROUND_SECONDS, self._limit_seconds)):
                if await self._update(cluster, topics):
                    self._unreachable_since = None
                    return True
        except TimeoutError:
            pass  # as good as no answer
        if self._unreachable_since is None:
            self._unreachable_since = begun
        return False

    async def _asked_bootstrap(self, cluster: Any, topics: Iterable[str]) -> bool:
        """Ask all bootstrap servers at once which brokers there are, if it is time; the first answer counts."""
        since = self._unreachable_since
        if since is None or asyncio.get_running_loop().time() - since < UNREACHABLE_SECONDS:
            return False
        self._renew_credentials()
        request = MetadataRequest(list(topics) if topics else None)
        asked = [asyncio.create_task(self._ask_one(host, port, request)) for host, port, _ in self._client.hosts]
        try:
            for answer in asyncio.as_completed(asked):
                server, metadata = await answer
                if metadata is not None:
                    self._adopt(cluster, metadata, server)
                    return True
        finally:
            await end_all(asked)
        return False

    def _adopt(self, cluster: Any, metadata: Any, server: str) -> None:
        """Take what a bootstrap server has said as the truth."""
        for known in (cluster, self._client.cluster):
            known.update_metadata(metadata)
        self._drop_strangers()
        self._unreachable_since, self._told = None, False
        brokers = sorted(f"{broker.host}:{broker.port}" for broker in self._client.cluster.brokers())
        log.warning(LogEvent.BOOTSTRAPPED_AGAIN, server=server, brokers=brokers)

    async def _ask_one(self, host: str, port: int, request: MetadataRequest) -> tuple[str, Any]:
        """The server asked, and what it says; None when it does not answer or knows no broker."""
        server = f"{host}:{port}"
        try:
            async with asyncio.timeout(self._limit_seconds):
                metadata = await self._ask(host, port, request)
        except (KafkaError, OSError, TimeoutError) as error:
            if not self._told:
                self._told = True
                log.warning(LogEvent.BOOTSTRAP_UNREACHABLE, server=server, reason=in_words(error))
            return server, None
        return server, metadata if metadata.brokers else None

    async def _ask(self, host: str, port: int, request: MetadataRequest) -> Any:
        client = self._client
        conn = await create_conn(
            host,
            port,
            client_id=client._client_id,  # noqa: SLF001
            request_timeout_ms=self._settings.connect_timeout_ms,
            ssl_context=client._ssl_context,  # noqa: SLF001
            security_protocol=client._security_protocol,  # noqa: SLF001
            sasl_mechanism=client._sasl_mechanism,  # noqa: SLF001
            sasl_plain_username=client._sasl_plain_username,  # noqa: SLF001
            sasl_plain_password=client._sasl_plain_password,  # noqa: SLF001
            sasl_oauth_token_provider=client._sasl_oauth_token_provider,  # noqa: SLF001
        )
        try:
            return await conn.send(request)
        finally:
            conn.close()

    def _drop_strangers(self) -> None:
        """Close connections to addresses at which their brokers are no longer: nobody there will answer."""
        client = self._client
        for (node_id, _group), conn in list(client._conns.items()):  # noqa: SLF001
            broker: BrokerMetadata | None = client.cluster.broker_metadata(node_id)
            if broker is None or (broker.host, broker.port) != (conn.host, conn.port):
                conn.close(reason=CloseReason.SHUTDOWN)

    def _renew_credentials(self) -> None:
        """Take what is on disk now. While a renewal is half done, the old credentials stay."""
        now = fingerprint(self._settings)
        if now == self._read:
            return
        try:
            options = security_options(self._settings)
        except SettingsError as error:
            log.warning(LogEvent.CREDENTIALS_UNUSABLE, reason=str(error))
            return
        self._read = now
        for name, value in options.items():
            setattr(self._client, f"_{name}", value)
        log.info(LogEvent.CREDENTIALS_RENEWED)
