"""Certificates and passwords that are renewed on disk while a client lives, against real listeners."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import SaslAuthenticationFailed
from aiokafka.protocol.metadata import MetadataResponse_v0

from service.errors import SettingsError
from service.kafka.connecting.broker_connection import BrokerConnection
from service.kafka.connecting.connection import client_options, new_consumer
from service.kafka.connecting.credentials import fingerprint, security_options
from service.kafka.connecting.reconnection import Reconnection, keep_connected, trouble_of
from service.sandbox.addresses import HOST, free_ports
from service.sandbox.broker.local import LocalBroker
from service.settings import KafkaSettings
from service.telemetry.redaction import clean
from tests.support.listeners import Listener

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]


class SaslBroker:
    """A real broker with a second listener that wants a password; `start` again with another one changes it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        (self.port,) = free_ports(1)
        self.broker = LocalBroker()
        self._monkeypatch = monkeypatch

    async def start(self, password: str) -> None:
        from service.sandbox.broker import local, node

        def with_sasl(listeners: Any, data_dir: str) -> dict[str, str]:
            login = "org.apache.kafka.common.security.plain.PlainLoginModule required"
            plain = node.node_settings(listeners, data_dir)
            return plain | {
                "listeners": f"{plain['listeners']},SASL_PLAINTEXT://{HOST}:{self.port}",
                "advertised.listeners": f"{plain['advertised.listeners']},SASL_PLAINTEXT://{HOST}:{self.port}",
                "listener.security.protocol.map": f"{plain['listener.security.protocol.map']},"
                "SASL_PLAINTEXT:SASL_PLAINTEXT",
                "sasl.enabled.mechanisms": "PLAIN",
                "listener.name.sasl_plaintext.plain.sasl.jaas.config": f'{login} user_me="{password}";',
            }

        self._monkeypatch.setattr(local, "node_settings", with_sasl)
        await self.broker.start()


@pytest.fixture
async def sasl_broker(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[SaslBroker]:
    made = SaslBroker(monkeypatch)
    yield made
    await made.broker.stop()


async def test_a_password_that_was_changed_on_disk_is_used_at_the_next_connection(
    sasl_broker: SaslBroker, tmp_path: Path
) -> None:
    secret = tmp_path / "password"
    secret.write_text("first-one\n")
    settings = KafkaSettings(
        bootstrap_servers=f"{HOST}:{sasl_broker.port}",
        security_protocol="SASL_PLAINTEXT",
        sasl_username="me",
        sasl_password_file=secret,
    )
    await sasl_broker.start("first-one")
    consumer = new_consumer(settings, enable_auto_commit=False)
    await consumer.start()
    try:
        assert await consumer._client.fetch_all_metadata()
        sasl_broker.broker.kill()
        secret.write_text("second-one\n")
        await sasl_broker.start("second-one")
        async with asyncio.timeout(60):
            while not await consumer._client.force_metadata_update():
                await asyncio.sleep(0.1)
        assert clean("refused: first-one, second-one") == "refused: ***, ***", "both are kept out of logs"
    finally:
        await consumer.stop()


def _certificate(folder: Path, name: str) -> tuple[Path, Path]:
    cert, key = folder / "tls.crt", folder / "tls.key"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}",
         "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", str(key), "-out", str(cert)],
        check=True,
        capture_output=True,
    )  # fmt: skip
    return cert, key


@pytest.mark.skipif(shutil.which("openssl") is None, reason="makes certificates with the openssl command")
async def test_certificates_that_were_renewed_on_disk_are_shown_at_the_next_connection(tmp_path: Path) -> None:
    (tmp_path / "server").mkdir()
    (tmp_path / "client").mkdir()
    server_cert, server_key = _certificate(tmp_path / "server", "server")
    cert, key = _certificate(tmp_path / "client", "first")
    shown: list[str] = []

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        subject = writer.get_extra_info("peercert")["subject"]
        shown.append(subject[0][0][1])
        writer.close()

    def listener() -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(cert))
        context.load_cert_chain(server_cert, server_key)
        context.verify_mode = ssl.CERT_REQUIRED
        return context

    settings = KafkaSettings(
        security_protocol="SSL", ssl_cafile=server_cert, ssl_certfile=cert, ssl_keyfile=key, connect_timeout_ms=2_000
    )
    read = fingerprint(settings)
    server = Listener()
    await server.start(accept, tls=listener())
    port = server.port
    client = AIOKafkaClient(**client_options(settings) | {"bootstrap_servers": f"{HOST}:{port}"})
    keep_connected(client, settings, read)
    await _connects(client, lambda: shown == ["first"])
    await server.close()

    _certificate(tmp_path / "client", "second")
    await server.start(accept, port, listener())
    await _connects(client, lambda: shown == ["first", "second"])

    cert.write_text("half written")
    assert fingerprint(settings) != read
    await _connects(client, lambda: shown == ["first", "second", "second"])
    await client.close()
    await server.close()


async def _connects(client: Any, condition: Callable[[], bool]) -> None:
    """One attempt to reach the bootstrap servers, as after an outage."""
    client._metadata_update.__self__._unreachable_since = 0.0
    await client._metadata_update(client.cluster, set())
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.01)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="makes certificates with the openssl command")
@pytest.mark.unit
def test_a_key_that_wants_a_password_never_asks_for_it_on_the_terminal(tmp_path: Path) -> None:
    cert, key = _certificate(tmp_path, "me")
    locked = tmp_path / "locked.key"
    subprocess.run(
        ["openssl", "rsa", "-aes256", "-passout", "pass:swordfish", "-in", str(key), "-out", str(locked)],
        check=True,
        capture_output=True,
    )
    options = {"security_protocol": "SSL", "ssl_certfile": cert, "ssl_keyfile": locked}
    with pytest.raises(SettingsError, match="SSL"):
        security_options(KafkaSettings.model_validate(options))
    security_options(KafkaSettings.model_validate(options | {"ssl_key_password": "swordfish"}))


@pytest.mark.unit
async def test_what_fails_at_once_is_not_tried_again_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some callers in aiokafka ask again without a pause. A refused login then kept a core busy for ever."""
    tried: list[str] = []

    async def refuse(self: Reconnection, host: str, port: int) -> BrokerConnection:
        tried.append(f"{host}:{port}")
        raise SaslAuthenticationFailed("no such user")

    monkeypatch.setattr(Reconnection, "_connect", refuse)
    client: Any = AIOKafkaClient(**client_options(KafkaSettings()))
    keep_connected(client, KafkaSettings(), ())

    client.cluster.update_metadata(MetadataResponse_v0([(0, "a", 1)], []))
    asked = 0
    asks: list[Callable[[], Any]] = [lambda: client._get_conn(0), lambda: client._metadata_update(client.cluster, ())]
    for ask in asks:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1.0):
                while True:
                    assert not await ask()
                    asked += 1
    assert 4 <= len(tried) <= 20
    assert 4 <= asked <= 60
    assert isinstance(trouble_of(client), SaslAuthenticationFailed)
    await client.close()
