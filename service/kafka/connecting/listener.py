"""What listens at a bootstrap server, and why it does not suit our settings.

A client only learns that its connection was closed: a broker says nothing to bytes it does not understand. So after a
failure the listener is asked here: with and without TLS, and for a login, by a request that holds no secret.
"""

from __future__ import annotations

import asyncio
import ssl
import struct
from dataclasses import dataclass

from aiokafka.conn import create_conn
from aiokafka.errors import KafkaError

from service.kafka.connecting.credentials import security_options
from service.kafka.connecting.refusals import refusal_and_advice
from service.settings import KafkaSettings
from service.supervision import end_all
from service.words import in_words

LIMIT_SECONDS = 2.0
"""Longest search for a reason: a health answer waits for it."""

_ONE_SECONDS = 0.9
_LARGEST_BYTES = 4096
_CORRELATION = 77
_UNSUPPORTED_MECHANISM, _NO_LOGIN_HERE = 33, 34
_PROTOCOL = "REELWIRE_KAFKA__SECURITY_PROTOCOL"
_MECHANISM = "REELWIRE_KAFKA__SASL_MECHANISM"
_LOGIN = "REELWIRE_KAFKA__SASL_USERNAME and REELWIRE_KAFKA__SASL_PASSWORD (or its …_FILE)"


@dataclass(frozen=True, slots=True)
class Misfit:
    """Why a listener can't be used with our settings, and what to change."""

    problem: str
    todo: str

    def __str__(self) -> str:
        return f"{self.problem}; {self.todo}" if self.todo else self.problem


@dataclass(frozen=True, slots=True)
class Listener:
    """How a listener speaks. `mechanisms` are those of its login: empty without a login, None if it did not tell."""

    tls: bool
    mechanisms: tuple[str, ...] | None
    kafka: bool = True


async def misfit(settings: KafkaSettings) -> Misfit | None:
    """The first reason that any bootstrap server gives; None when none is found in time. Never raises."""
    servers = [part.strip() for part in settings.bootstrap_servers.split(",") if part.strip()]
    asked = [asyncio.create_task(_misfit_of(settings, server)) for server in servers]
    try:
        async with asyncio.timeout(LIMIT_SECONDS):
            for answer in asyncio.as_completed(asked):
                found = await answer
                if found is not None:
                    return found
    except TimeoutError:
        pass
    finally:
        await end_all(asked)
    return None


async def _misfit_of(settings: KafkaSettings, server: str) -> Misfit | None:
    host, _, port = server.rpartition(":")
    host = host.strip("[]")
    listener = await listener_at(host, int(port))
    if listener is None:
        return None
    return compared(settings, server, listener) or await _refusal(settings, server, host, int(port))


def compared(settings: KafkaSettings, server: str, listener: Listener) -> Misfit | None:
    """How the listener differs from what the settings say; None when it does not."""
    ours = settings.security_protocol
    if not listener.kafka:
        return Misfit(f"what answers at {server} is no Kafka broker", "correct REELWIRE_KAFKA__BOOTSTRAP_SERVERS")
    login = ours.startswith("SASL") if listener.mechanisms is None else bool(listener.mechanisms)
    fits = ("SASL_" if login else "") + ("SSL" if listener.tls else "PLAINTEXT")
    if fits != ours:
        tls = "with TLS" if listener.tls else "without TLS"
        how = f"{tls} and {'with' if login else 'without'} a login (SASL)"
        return Misfit(f"the listener at {server} is one {how}, and {_PROTOCOL} is {ours}", f"set it to {fits}")
    if login and listener.mechanisms and settings.sasl_mechanism not in listener.mechanisms:
        offered = ", ".join(listener.mechanisms)
        return Misfit(
            f"the listener at {server} takes no login by {settings.sasl_mechanism}, only by {offered}",
            f"set {_MECHANISM}",
        )
    return None


async def _refusal(settings: KafkaSettings, server: str, host: str, port: int) -> Misfit | None:
    """Connect as the clients do: what the broker, or our look at its certificate, says against it."""
    options = security_options(settings)
    try:
        conn = await create_conn(
            host, port, client_id=settings.client_id, request_timeout_ms=int(_ONE_SECONDS * 1000), **options
        )
    except (KafkaError, OSError) as error:
        refused = refusal_and_advice(settings, error)
        if refused is not None:
            return Misfit(f"no access to Kafka at {server}: {refused[0]}", refused[1])
        if isinstance(error, ssl.SSLError):
            why = f"no TLS connection to {server} could be made: {in_words(error)}"
            return Misfit(why, "check REELWIRE_KAFKA__SSL_*")
        if isinstance(error, KafkaError) and settings.security_protocol.startswith("SASL"):
            return Misfit(f"the listener at {server} refuses our login: {in_words(error)}", f"check {_LOGIN}")
        return None
    conn.close()
    return None


async def listener_at(host: str, port: int) -> Listener | None:
    """What listens there; None when nobody does, or what it is can't be told."""
    plain = await _ask(host, port, None)
    if plain is None:
        return None
    if plain and not _is_tls_alert(plain):
        return _understood(plain, tls=False)
    careless = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # whom we talk to is not asked: nothing secret is sent
    careless.check_hostname = False
    careless.verify_mode = ssl.CERT_NONE
    secure = await _ask(host, port, careless)
    if secure is None:
        return None
    return _understood(secure, tls=True) if secure else Listener(tls=True, mechanisms=None)


def _is_tls_alert(answer: bytes) -> bool:
    return answer[:2] == b"\x15\x03"


def _understood(answer: bytes, *, tls: bool) -> Listener:
    """The answer to `_question`: size, correlation id, error code, the mechanisms."""
    try:
        _size, correlation, code, count = struct.unpack_from(">iihi", answer)
        names, at = [], 14
        for _ in range(max(count, 0)):
            (length,) = struct.unpack_from(">h", answer, at)
            names.append(answer[at + 2 : at + 2 + length].decode("ascii", "replace"))
            at += 2 + length
    except struct.error:
        return Listener(tls=tls, mechanisms=None, kafka=False)
    if correlation != _CORRELATION:
        return Listener(tls=tls, mechanisms=None, kafka=False)
    if code == _NO_LOGIN_HERE:
        return Listener(tls=tls, mechanisms=())
    return Listener(tls=tls, mechanisms=tuple(names) if code == _UNSUPPORTED_MECHANISM and names else None)


def _question() -> bytes:
    """SaslHandshake, version 1, for a mechanism that does not exist: each kind of listener refuses it in its way."""
    client, mechanism = b"reelwire", b"NONE"
    body = struct.pack(">hhi", 17, 1, _CORRELATION)
    body += struct.pack(">h", len(client)) + client + struct.pack(">h", len(mechanism)) + mechanism
    return struct.pack(">i", len(body)) + body


async def _ask(host: str, port: int, tls: ssl.SSLContext | None) -> bytes | None:
    """The first bytes of the answer; empty when the connection was closed without one; None when there is none."""
    writer = None
    try:
        async with asyncio.timeout(_ONE_SECONDS):
            reader, writer = await asyncio.open_connection(host, port, ssl=tls)
            writer.write(_question())
            return await reader.read(_LARGEST_BYTES)
    except (TimeoutError, ssl.SSLError):
        return None
    except OSError:
        return b"" if writer is not None else None
    finally:
        if writer is not None:
            writer.transport.abort()
