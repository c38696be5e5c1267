"""Why a broker's listener does not suit our settings: told with the setting's name, by asking a real broker."""

from __future__ import annotations

import asyncio
import shutil
import ssl
import struct
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from service.kafka.connecting.connection import broker_unavailable
from service.kafka.connecting.listener import Listener as Found
from service.kafka.connecting.listener import compared, listener_at, misfit
from service.settings import KafkaSettings
from tests.support.listeners import HOST, Listener

LOGIN = {"sasl_username": "me", "sasl_password": SecretStr("secret")}


def settings(server: str, protocol: str = "PLAINTEXT", **more: object) -> KafkaSettings:
    login = LOGIN if protocol.startswith("SASL") else {}
    return KafkaSettings.model_validate({"bootstrap_servers": server, "security_protocol": protocol, **login, **more})


@pytest.mark.unit
@pytest.mark.parametrize(
    ("ours", "found", "words"),
    [
        ("PLAINTEXT", Found(tls=False, mechanisms=()), None),
        ("PLAINTEXT", Found(tls=False, mechanisms=None), None),
        ("SSL", Found(tls=False, mechanisms=()), "without TLS and without a login (SASL)|set it to PLAINTEXT"),
        ("PLAINTEXT", Found(tls=True, mechanisms=()), "with TLS and without a login (SASL)|set it to SSL"),
        ("PLAINTEXT", Found(tls=True, mechanisms=None), "with TLS and without a login (SASL)|set it to SSL"),
        ("SASL_PLAINTEXT", Found(tls=False, mechanisms=()), "without a login (SASL)|set it to PLAINTEXT"),
        ("PLAINTEXT", Found(tls=False, mechanisms=("PLAIN",)), "with a login (SASL)|set it to SASL_PLAINTEXT"),
        ("SASL_SSL", Found(tls=False, mechanisms=("PLAIN",)), "without TLS and with a login|set it to SASL_PLAINTEXT"),
        ("SASL_SSL", Found(tls=True, mechanisms=("PLAIN",)), None),
        ("SASL_SSL", Found(tls=True, mechanisms=("SCRAM-SHA-512",)), "no login by PLAIN, only by SCRAM-SHA-512|set "),
        ("PLAINTEXT", Found(tls=False, mechanisms=None, kafka=False), "no Kafka broker|correct REELWIRE_KAFKA__BOOT"),
    ],
)
def test_a_difference_is_told_with_the_setting_and_its_right_value(ours: str, found: Found, words: str | None) -> None:
    told = compared(settings("broker:9092", ours), "broker:9092", found)
    if words is None:
        assert told is None
        return
    assert told is not None
    problem, todo = words.split("|")
    assert problem in told.problem
    assert todo in told.todo
    assert "REELWIRE_KAFKA__" in told.problem + told.todo


@pytest.mark.integration
@pytest.mark.parametrize("protocol", ["SSL", "SASL_PLAINTEXT", "SASL_SSL"])
async def test_a_plain_listener_of_a_real_broker_is_known(kafka: KafkaSettings, protocol: str) -> None:
    told = await misfit(settings(kafka.bootstrap_servers, protocol))

    assert told is not None
    assert "without TLS and without a login (SASL)" in told.problem
    assert f"REELWIRE_KAFKA__SECURITY_PROTOCOL is {protocol}" in told.problem
    assert told.todo == "set it to PLAINTEXT"


@pytest.mark.integration
async def test_a_listener_that_suits_is_not_complained_about(kafka: KafkaSettings) -> None:
    assert await misfit(kafka) is None


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    if shutil.which("openssl") is None:
        pytest.skip("makes certificates with the openssl command")
    cert, key = tmp_path / "tls.crt", tmp_path / "tls.key"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=broker",
         "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(cert)],
        check=True, capture_output=True,
    )  # fmt: skip
    return cert, key


async def broker_without_a_login(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers the question as a listener without a login does: the error code, and no mechanisms."""
    try:
        (size,) = struct.unpack(">i", await reader.readexactly(4))
        _key, _version, correlation = struct.unpack_from(">hhi", await reader.readexactly(size))
        writer.write(struct.pack(">iihi", 10, correlation, 34, 0))
        await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    writer.close()


@pytest.fixture
async def tls_listener(certificate: tuple[Path, Path]) -> AsyncIterator[str]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*certificate)
    listener = Listener()
    await listener.start(broker_without_a_login, tls=context)
    yield f"{HOST}:{listener.port}"
    await listener.close()


@pytest.mark.integration
async def test_a_tls_listener_is_known_to_a_client_without_tls(tls_listener: str) -> None:
    told = await broker_unavailable(settings(tls_listener), OSError("closed"))

    assert "is one with TLS and without a login (SASL)" in str(told)
    assert "REELWIRE_KAFKA__SECURITY_PROTOCOL is PLAINTEXT; set it to SSL" in str(told)


@pytest.mark.integration
async def test_a_certificate_that_is_not_trusted_names_the_setting_of_the_authorities(tls_listener: str) -> None:
    told = await misfit(settings(tls_listener, "SSL"))

    assert told is not None
    assert "is not signed by an authority that this system trusts (self-signed certificate)" in told.problem
    assert "REELWIRE_KAFKA__SSL_CAFILE" in told.todo


@pytest.mark.integration
async def test_a_web_server_is_no_broker_and_nobody_is_nothing() -> None:
    async def web(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    listener = Listener()
    await listener.start(web)
    port = listener.port
    try:
        told = await misfit(settings(f"{HOST}:{port}"))
    finally:
        await listener.close()

    assert told is not None
    assert "is no Kafka broker" in told.problem
    assert await listener_at(HOST, port) is None
