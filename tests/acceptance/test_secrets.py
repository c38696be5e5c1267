"""Secrets are planted wherever one can be, and looked for in everything that people read or others receive."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import signal
import struct
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from contracts.topics import TOPICS, Role
from service.settings import Settings
from service.settings.sources import members
from tests.harness.observer import Observer
from tests.harness.stage import Stage
from tests.support.listeners import Listener, listening

pytestmark = pytest.mark.acceptance

API_KEY = "tlk_planted-api-key-0123456789"
PROXY_PASSWORD = "planted:proxy/pass word+1"
SASL_PASSWORD = "planted-sasl-pässword"
WEBHOOK_SECRET = "planted-webhook-secret"
SIGNATURE = "plantedsignature0123456789abcdef"
VIDEO = base64.b64encode(b"planted video " * 300).decode()
PRESIGNED = f"https://media.example.com/a.mp4?X-Amz-Credential=planted-credential&X-Amz-Signature={SIGNATURE}"

PROXY_USER = "proxyuser"
CREDENTIALS = f"{PROXY_USER}:{quote(PROXY_PASSWORD, safe='')}"


def spellings(secret: str) -> set[bytes]:
    """How a secret may be written somewhere."""
    raw = secret.encode()
    basic = base64.b64encode(PROXY_USER.encode() + b":" + raw).rstrip(b"=")
    return {raw, quote(secret, safe="").encode(), repr(secret)[1:-1].encode(), repr(raw)[2:-1].encode(), basic}


EVERY_SETTING = {
    variable: f"planted-{variable.lower().replace('_', '-')}"
    for variable, (_, _, field) in members(Settings).items()
    if "SecretStr" in str(field.annotation)
}
"""A secret of its own for each setting that is one."""

PLANTED = {
    **{variable: spellings(secret) for variable, secret in EVERY_SETTING.items()},
    "API key": spellings(API_KEY),
    "proxy password": spellings(PROXY_PASSWORD),
    "SASL password": spellings(SASL_PASSWORD),
    "webhook secret": spellings(WEBHOOK_SECRET),
    "signature": {SIGNATURE.encode(), b"planted-credential"},
    "video": {VIDEO[:40].encode(), b"planted video planted"},
}


def found_in(text: bytes, names: Iterable[str] = PLANTED) -> list[str]:
    """Which of the secrets are in a text."""
    return [name for name in names if any(spelling in text for spelling in PLANTED[name])]


@contextlib.asynccontextmanager
async def talkative_proxy() -> AsyncIterator[tuple[int, list[bytes]]]:
    """A proxy that is out of order, and repeats whatever it was told in its answer."""
    heard: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            heard.append(head)
            body = f"out of order: http://{CREDENTIALS}@proxy:1 asked for {PRESIGNED}: ".encode() + head
            writer.write(b"HTTP/1.1 503 Busy\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%b" % (len(body), body))
            await writer.drain()
        writer.close()

    async with listening(answer) as listener:
        yield listener.port, heard


async def test_no_secret_leaves_the_service(make_own_stage: Callable[..., Stage], tmp_path: Path) -> None:
    secret_file = tmp_path / "secret"
    secret_file.write_text(WEBHOOK_SECRET)
    async with talkative_proxy() as (port, heard):
        stage = make_own_stage(
            {
                "REELWIRE_PLATFORM__API_KEY": API_KEY,
                "REELWIRE_WEBHOOKS__SECRET_FILE": str(secret_file),
                "REELWIRE_LOG__LEVEL": "DEBUG",
            },
            serve=False,
        )
        try:
            program = stage.system.service()
            outside = {"NO_PROXY": "", "no_proxy": "", "PYTHONFAULTHANDLER": "1"}
            await stage.system.serve(**outside, HTTP_PROXY=f"http://{CREDENTIALS}@127.0.0.1:{port}")
            inline: dict[str, Any] = {"video": {"type": "base64_string", "base64_string": VIDEO}, "mode": "async"}
            bodies: dict[str, dict[str, Any]] = {
                "signed": {"video": {"type": "url", "url": PRESIGNED}},
                "inline": {**inline, "upload": "inline"},
                "wrong": {"video": {"type": "url", "url": PRESIGNED}, "temperature": PRESIGNED},
                "broken": {"video": {"type": "base64_string", "base64_string": VIDEO + "!"}},
            }
            for name, body in bodies.items():
                await stage.request_producer.send({"request_id": name, "prompt": "p", **body})
            async with stage.watching() as observer:
                await observer.until(lambda: all(observer.events(name, "retrying") for name in ("signed", "inline")))
            pages = [
                await stage.system.get(path) for path in ("metrics", "health/ready", "health/live", "health/startup")
            ]
            # A proxy that is not there: its host and port are told, so that it can be found.
            await program.stop()
            await stage.system.serve(**outside, HTTP_PROXY=f"http://{CREDENTIALS}@127.0.0.1:9")
            async with stage.watching() as observer:
                await observer.until(
                    lambda: any("127.0.0.1:9" in event["reason"] for event in observer.events("signed", "retrying"))
                )
            program.send(signal.SIGABRT)
            await program.ended()
        finally:
            await stage.system.stop()  # also after a failure: the next test of this module needs the machine

    assert any(b"roxy-" in head for head in heard), "the proxy was given its credentials"
    log = program.log_file.read_bytes()
    assert b"Fatal Python error" in log
    assert found_in(log) == []
    assert found_in(b"".join(body.encode() for _, body in pages)) == []
    await _look_through_topics(stage)


async def _look_through_topics(stage: Stage) -> None:
    settings = stage.system.settings()
    seen = await Observer.of_everything(settings, "read_uncommitted")
    retrying = [event for name in ("signed", "inline") for event in seen.events(name, "retrying")]
    assert any("***" in event["reason"] for event in retrying), "something was taken out"
    # What came in a request is in its own copies, and nowhere else.
    with_request = {TOPICS[Role.REQUESTS].role, Role.JOBS, Role.DEAD_LETTERS}
    everywhere = ("API key", "proxy password", "SASL password", "webhook secret")
    for role in Role:
        raw = await asyncio.to_thread(_raw, settings.kafka.bootstrap_servers, getattr(settings.topics, role))
        assert found_in(raw, everywhere if role in with_request else PLANTED) == [], role


def _raw(servers: str, topic: str) -> bytes:
    """Every byte of a topic's records, as another client reads them."""
    import confluent_kafka

    consumer = confluent_kafka.Consumer(
        {"bootstrap.servers": servers, "group.id": "none", "enable.partition.eof": True, "enable.auto.commit": False}
    )
    try:
        partitions = consumer.list_topics(topic, timeout=20).topics[topic].partitions
        consumer.assign([confluent_kafka.TopicPartition(topic, number, 0) for number in partitions])
        parts: list[bytes] = []
        at_end = 0
        while at_end < len(partitions):
            message = consumer.poll(20)
            assert message is not None, f"{topic} can't be read"
            if message.error():
                at_end += 1
                continue
            headers = [part for name, value in message.headers() or [] for part in (name.encode(), value or b"")]
            parts += [message.key() or b"", message.value() or b"", *headers]
        return b"\n".join(parts)
    finally:
        consumer.close()


SASL = {
    "REELWIRE_KAFKA__SECURITY_PROTOCOL": "SASL_PLAINTEXT",
    "REELWIRE_KAFKA__SASL_MECHANISM": "PLAIN",
    "REELWIRE_KAFKA__SASL_USERNAME": "reel",
    "REELWIRE_KAFKA__SASL_PASSWORD": SASL_PASSWORD,
    "REELWIRE_PLATFORM__API_KEY": API_KEY,
    "REELWIRE_WEBHOOKS__SECRET": WEBHOOK_SECRET,
    "REELWIRE_HTTP__PORT": "0",
}


class LoginOnly:
    """A Kafka that takes every login and then hangs up: what a client logs of its handshake can be seen."""

    def __init__(self) -> None:
        self.logins: asyncio.Queue[bytes] = asyncio.Queue()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                (size,) = struct.unpack(">i", await reader.readexactly(4))
                request = await reader.readexactly(size)
                api, _version, correlation = struct.unpack(">hhi", request[:8])
                answer = self._answer(api, request)
                if answer is None:
                    break
                writer.write(struct.pack(">ii", 4 + len(answer), correlation) + answer)
        writer.close()

    def _answer(self, api: int, request: bytes) -> bytes | None:
        if api == 18:  # ApiVersions
            return struct.pack(">hi", 0, 4) + b"".join(
                struct.pack(">hhh", key, 0, newest) for key, newest in ((18, 0), (17, 1), (36, 0), (3, 1))
            )
        if api == 17:  # SaslHandshake
            return struct.pack(">hi", 0, 1) + struct.pack(">h", 5) + b"PLAIN"
        if api == 36:  # SaslAuthenticate
            self.logins.put_nowait(request)
            return struct.pack(">hh", 0, -1) + struct.pack(">i", 0)
        return None


@pytest.mark.parametrize(
    "arguments",
    [
        ["--debug", "topics", "check"],
        ["--debug", "doctor", "--no-platform"],
        ["--debug", "jobs", "list"],
        ["--debug", "submit", PRESIGNED, "--prompt", "p"],
        ["--debug", "run"],
        ["run"],
        ["--debug", "jobs-that-do-not-exist"],
        ["--debug", "config"],
        ["config", "--json"],
    ],
)
async def test_no_command_prints_a_secret(arguments: list[str], tmp_path: Path) -> None:
    kafka = LoginOnly()
    server = Listener()
    await server.start(kafka)
    port = server.port
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("REELWIRE_", "TWELVELABS_"))}
    proxy = {"HTTPS_PROXY": f"http://{CREDENTIALS}@127.0.0.1:9"}
    url = {"REELWIRE_PLATFORM__BASE_URL": f"https://{CREDENTIALS}@platform.example/v1.3"}
    output = tmp_path / "output"
    with output.open("wb") as sink:
        process = await asyncio.create_subprocess_exec(
            str(Path(sys.executable).parent / "reelwire"),
            *arguments,
            env={**kept, **SASL, **proxy, **url, "REELWIRE_KAFKA__BOOTSTRAP_SERVERS": f"127.0.0.1:{port}"},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=sink,
            stderr=sink,
        )
    try:
        if {"run", "topics", "doctor", "jobs", "submit"} & {*arguments}:
            login = await asyncio.wait_for(kafka.logins.get(), 60)
            assert SASL_PASSWORD.encode() in login
        if "run" in arguments:
            process.terminate()
        await asyncio.wait_for(process.wait(), 60)
    finally:
        await server.close()
        if process.returncode is None:
            process.kill()
            await process.wait()

    written = output.read_bytes()
    assert written
    assert found_in(written) == []
    if arguments == ["--debug", "topics", "check"]:
        assert b"SaslAuthenticateRequest" in written, "the handshake was logged"
        assert b"Traceback" in written


@pytest.mark.parametrize("arguments", [["config"], ["--debug", "run"], ["topics", "acls"]])
def test_no_setting_that_is_a_secret_is_printed_where_settings_are_wrong(arguments: list[str]) -> None:
    """Several of them exclude each other, which stops the start: the message names the settings and no value."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("REELWIRE_", "TWELVELABS_"))}
    done = subprocess.run(
        [str(Path(sys.executable).parent / "reelwire"), *arguments],
        env={**kept, **EVERY_SETTING},
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode != 0
    assert b"REELWIRE_" in done.stderr
    assert found_in(done.stdout + done.stderr) == []
