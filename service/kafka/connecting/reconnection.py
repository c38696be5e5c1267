"""Keeps an aiokafka client connected: new addresses are learnt from the bootstrap servers, secrets from disk.

aiokafka asks the bootstrap servers once, at its start, and keeps the secrets of that moment. When all brokers come
back under new addresses (a cluster that was moved, pods that were all replaced), or a certificate is renewed, such a
client tries the old ones for ever. It also tries again without a pause what fails at once, as a refused login does,
and does not tell why. Here it is healed in place, so consumers keep their membership and producers their epoch. This
leans on the inside of aiokafka 0.14; `tests/kafka/test_aiokafka_internals.py` holds what it leans on.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import structlog
from aiokafka.client import ConnectionGroup
from aiokafka.conn import CloseReason
from aiokafka.errors import KafkaConnectionError, KafkaError
from aiokafka.protocol.metadata import MetadataRequest
from aiokafka.structs import BrokerMetadata

from service.errors import SettingsError
from service.kafka.connecting.broker_connection import BrokerConnection
from service.kafka.connecting.credentials import Fingerprint, fingerprint, security_options
from service.kafka.connecting.refusals import refusal
from service.settings import KafkaSettings
from service.supervision import end_all
from service.telemetry.events import LogEvent
from service.words import in_words

log = structlog.get_logger()

UNREACHABLE_SECONDS = 2.0
"""After every known broker was unreachable for that long, the bootstrap servers are asked again."""

ROUND_SECONDS = 5.0
"""Longest search for a known broker that answers. aiokafka asks one after another, and waits long for each."""

_FIRST_PAUSE_SECONDS = 0.05
_LONGEST_PAUSE_SECONDS = 1.0
_LOOK_SECONDS = 0.05
_PUT_OFF_SECONDS = 1.0
_FAILURES = (KafkaError, OSError, TimeoutError)

ConnId = tuple[Any, ConnectionGroup]


def keep_connected(client: Any, settings: KafkaSettings, read: Fingerprint) -> None:
    """Make a client of aiokafka, not yet started, find its brokers again after an outage.

    `read` is the fingerprint of the credentials that the client was made with.
    """
    Reconnection(client, settings, read).attach()


def trouble_of(client: Any) -> BaseException | None:
    """Why the last attempt of a client to connect has failed; None when it did not, or is no client of ours."""
    owner = getattr(client._get_conn, "__self__", None)
    return owner.trouble if isinstance(owner, Reconnection) else None


class Reconnection:
    """Belongs to one `AIOKafkaClient` and replaces four of its methods on the instance."""

    def __init__(self, client: Any, settings: KafkaSettings, read: Fingerprint) -> None:
        self._client = client
        self._settings = settings
        self._limit_seconds = settings.connect_timeout_ms / 1000
        self._read = read
        self._update = client._metadata_update
        self._close = client.close
        self._unreachable_since: float | None = None
        self._told = False
        self._locks: dict[ConnId, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._failures: dict[ConnId, tuple[int, float]] = {}  # how often in a row, and when the last time
        self._renewing: dict[ConnId, asyncio.Task[None]] = {}
        self.trouble: BaseException | None = None

    def attach(self) -> None:
        """Begin. Called once."""
        self._client.bootstrap = self._bootstrap
        self._client.close = self._closed
        self._client._get_conn = self._get_conn
        self._client._metadata_update = self._metadata_update

    async def _closed(self) -> None:
        """In place of the client's `close`."""
        await end_all(list(self._renewing.values()))
        await self._close()

    # Connections

    async def _get_conn(self, node_id: Any, *, group: Any = ConnectionGroup.DEFAULT, no_hint: bool = False) -> Any:
        """In place of the client's: the connection to a broker, None if it can't be had within the limit.

        aiokafka would wait for the request timeout at an address that swallows packets, which for the group's
        consumer is longer than a whole rebalance.
        """
        where = (node_id, group)
        conn = self._usable(where)
        if conn is not None:
            return conn
        failures = self._failures.get(where)
        async with self._locks[where]:
            conn = self._usable(where)
            if conn is not None or self._failures.get(where) != failures:
                return conn  # somebody else has tried while we waited
            return await self._open(where)

    def _usable(self, where: ConnId) -> Any:
        """The connection, if it is open; another one is opened beside it before its login ends."""
        conns = self._client._conns
        conn = conns.get(where)
        if conn is None:
            return None
        if not conn.connected():
            del conns[where]
            conn.close(reason=CloseReason.CONNECTION_BROKEN)  # its own reader might not live to do it
            return None
        if not isinstance(conn, BrokerConnection):
            return conn
        if conn.expired:
            del conns[where]
            conn.close(reason=CloseReason.SHUTDOWN)
            return None
        if conn.due and where not in self._renewing:
            task = self._renewing[where] = asyncio.create_task(self._renew(where, conn))
            task.add_done_callback(lambda _: self._renewing.pop(where, None))
        return conn

    async def _open(self, where: ConnId) -> Any:
        client, loop = self._client, asyncio.get_running_loop()
        count, failed_at = self._failures.get(where, (0, 0.0))
        if count:
            pause = min(_FIRST_PAUSE_SECONDS * 2 ** min(count, 10), _LONGEST_PAUSE_SECONDS)
            await asyncio.sleep(max(0.0, failed_at + pause - loop.time()))
        broker = client.cluster.broker_metadata(where[0])
        conn = None
        if broker is not None:
            self._renew_credentials()
            try:
                conn = await self._connect(broker.host, broker.port)
            except _FAILURES as error:
                self.trouble = error
        if conn is None:
            self._failures[where] = count + 1, loop.time()
            client.force_metadata_update()
            return None
        self._failures.pop(where, None)
        self.trouble = None
        client._conns[where] = conn
        return conn

    async def _renew(self, where: ConnId, old: BrokerConnection) -> None:
        """Put another connection in the place of one whose login ends soon, and close that when nothing is open."""
        conns = self._client._conns
        self._renew_credentials()
        try:
            new = await self._connect(old.host, old.port)
        except _FAILURES as error:
            self.trouble = error
            old.put_off(_PUT_OFF_SECONDS)
            return
        if conns.get(where) is not old:
            new.close(reason=CloseReason.SHUTDOWN)
            return
        conns[where] = new
        try:
            async with asyncio.timeout(self._client._request_timeout_ms / 1000):
                while old.busy:
                    await asyncio.sleep(_LOOK_SECONDS)
        except TimeoutError:
            pass
        finally:
            old.close(reason=CloseReason.SHUTDOWN)

    async def _connect(self, host: str, port: int) -> BrokerConnection:
        """A connection that is logged in. Bounded in time."""
        client = self._client
        conn = BrokerConnection(
            host,
            port,
            client_id=client._client_id,
            request_timeout_ms=client._request_timeout_ms,
            ssl_context=client._ssl_context,
            security_protocol=client._security_protocol,
            on_close=client._on_connection_closed,
            max_idle_ms=client._connections_max_idle_ms,
            sasl_mechanism=client._sasl_mechanism,
            sasl_plain_username=client._sasl_plain_username,
            sasl_plain_password=client._sasl_plain_password,
            sasl_oauth_token_provider=client._sasl_oauth_token_provider,
        )
        async with asyncio.timeout(self._limit_seconds):
            await conn.connect()
        return conn

    # Metadata

    async def _bootstrap(self) -> None:
        """In place of the client's: ask the bootstrap servers one by one. Raises the most telling of their errors."""
        client = self._client
        self._renew_credentials()
        failed: BaseException | None = None
        for host, port, _ in client.hosts:
            try:
                conn = await self._connect(host, port)
            except _FAILURES as error:
                failed = _more_telling(self._settings, failed, error)
                continue
            try:
                metadata = await conn.send(MetadataRequest([]))
            except BaseException as error:
                conn.close()  # also when this is cancelled: nobody else has it
                if not isinstance(error, _FAILURES):
                    raise
                failed = _more_telling(self._settings, failed, error)
                continue
            client.cluster.update_metadata(metadata)
            if client.cluster.brokers():
                conn.close()
            else:
                # A new cluster may tell no broker yet: the connection is kept until it does.
                client._conns[("bootstrap", ConnectionGroup.DEFAULT)] = conn
            break
        else:
            self.trouble = failed
            raise KafkaConnectionError("no connection could be made") from failed
        self.trouble = None
        if client._sync_task is None:
            client._sync_task = asyncio.create_task(client._md_synchronizer())

    async def _metadata_update(self, cluster: Any, topics: Iterable[str]) -> bool:
        """In place of the client's: ask the known brokers, and the bootstrap servers when none answers.

        Never raises: the task of aiokafka that calls it would end, and every wait for metadata last for ever. A
        failure takes a moment: some callers ask again at once.
        """
        try:
            if await self._asked_known(cluster, topics) or await self._asked_bootstrap(cluster, topics):
                return True
        except Exception as error:
            log.error(LogEvent.METADATA_FAILED, reason=in_words(error), exc_info=error)
        await asyncio.sleep(_FIRST_PAUSE_SECONDS)
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
        self._unreachable_since, self._told, self.trouble = None, False, None
        self._failures.clear()
        brokers = sorted(f"{broker.host}:{broker.port}" for broker in self._client.cluster.brokers())
        log.warning(LogEvent.BOOTSTRAPPED_AGAIN, server=server, brokers=brokers)

    async def _ask_one(self, host: str, port: int, request: MetadataRequest) -> tuple[str, Any]:
        """The server asked, and what it says; None when it does not answer or knows no broker."""
        server = f"{host}:{port}"
        try:
            conn = await self._connect(host, port)
            try:
                metadata = await conn.send(request)
            finally:
                conn.close()
        except _FAILURES as error:
            self.trouble = _more_telling(self._settings, self.trouble, error)
            if not self._told:
                self._told = True
                reason = refusal(self._settings, error) or in_words(error)
                log.warning(LogEvent.BOOTSTRAP_UNREACHABLE, server=server, reason=reason)
            return server, None
        return server, metadata if metadata.brokers else None

    def _drop_strangers(self) -> None:
        """Close connections to addresses at which their brokers are no longer: nobody there will answer."""
        client = self._client
        for (node_id, _group), conn in list(client._conns.items()):
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


def _more_telling(settings: KafkaSettings, last: BaseException | None, new: BaseException) -> BaseException:
    """Of two errors the one that names a refusal, else the newer one."""
    return last if last is not None and refusal(settings, last) and not refusal(settings, new) else new
