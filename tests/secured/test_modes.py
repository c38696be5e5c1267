"""Every way to log in, against a real broker."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
import uvloop

from service.kafka.connecting.connection import (
    AccessRefused,
    broker_unavailable,
    new_admin,
)
from service.kafka.connecting.reconnection import trouble_of
from service.settings import KafkaSettings
from tests.secured.broker import BRIEF_SECONDS, USER, SecuredBroker
from tests.secured.certificates import Authority
from tests.secured.conftest import OptionsOf, settings_of

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

Run = Callable[[Coroutine[Any, Any, bool]], bool]
LOOPS = [pytest.param(asyncio.run, id="asyncio"), pytest.param(uvloop.run, id="uvloop")]
"""Commands run on the one, the service on the other; each has a TLS of its own."""

MODES = ("TLS", "MUTUAL", "MUTUAL LOCKED", "PLAIN", "SCRAM", "OAUTH")


async def answered(settings: KafkaSettings) -> bool:
    """Whether a new client is answered. Raises what a command would."""
    admin = new_admin(settings)
    try:
        await admin.start()
        return bool((await admin.describe_cluster())["brokers"])
    except Exception as error:
        raise await broker_unavailable(settings, error) from error
    finally:
        await admin.close()


@pytest.mark.parametrize("mode", MODES)
async def test_a_client_logs_in_and_is_answered(options_of: OptionsOf, mode: str) -> None:
    assert await answered(settings_of(options_of(mode)))


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-512"])
async def test_a_wrong_password_is_called_that(options_of: OptionsOf, mechanism: str) -> None:
    options = options_of("PLAIN") | {"sasl_password": "not-the-password", "sasl_mechanism": mechanism}
    with pytest.raises(AccessRefused, match=f"refuses the login of user {USER} .{mechanism}.*SASL_PASSWORD"):
        await answered(settings_of(options))


async def test_a_strange_authority_is_called_that(options_of: OptionsOf, tmp_path: Path) -> None:
    options = options_of("TLS") | {"ssl_cafile": str(Authority(tmp_path, "strange").file)}
    with pytest.raises(AccessRefused, match=r"certificate of the broker is not signed by .*strange\.pem.*SSL_CAFILE"):
        await answered(settings_of(options))


@pytest.mark.parametrize("run", LOOPS)
def test_a_missing_client_certificate_is_called_that(options_of: OptionsOf, run: Run) -> None:
    options = options_of("MUTUAL")
    del options["ssl_certfile"], options["ssl_keyfile"]
    settings = settings_of(options)
    with pytest.raises(AccessRefused, match="asks for a client certificate and got none; set REELWIRE_KAFKA__SSL_CERT"):
        run(answered(settings))


@pytest.mark.parametrize("run", LOOPS)
def test_an_expired_client_certificate_is_called_that(secured: SecuredBroker, options_of: OptionsOf, run: Run) -> None:
    cert, key = secured.authority.certificate("old", days=(-9, -2))
    options = options_of("MUTUAL") | {"ssl_certfile": str(cert), "ssl_keyfile": str(key)}
    with pytest.raises(AccessRefused, match=r"our client certificate in .*old\.crt has expired on"):
        run(answered(settings_of(options)))


async def test_a_client_certificate_of_strangers_is_called_that(options_of: OptionsOf, tmp_path: Path) -> None:
    cert, key = Authority(tmp_path, "strange").certificate("us")
    options = options_of("MUTUAL") | {"ssl_certfile": str(cert), "ssl_keyfile": str(key)}
    with pytest.raises(AccessRefused, match=r"client certificate.*us\.crt"):
        await answered(settings_of(options))


async def test_a_token_server_that_refuses_us_is_called_that(secured: SecuredBroker, options_of: OptionsOf) -> None:
    options = options_of("OAUTH")
    Path(options["sasl_oauth_client_secret_file"]).write_text("another one")
    with pytest.raises(AccessRefused, match=r"token server at .* answers 401, invalid_client: no such client"):
        await answered(settings_of(options))


async def test_a_token_that_the_broker_refuses_is_called_that(secured: SecuredBroker, options_of: OptionsOf) -> None:
    secured.tokens.forged = True
    try:
        with pytest.raises(AccessRefused, match="the broker refuses our token"):
            await answered(settings_of(options_of("OAUTH")))
    finally:
        secured.tokens.forged = False


async def test_a_mechanism_that_the_broker_lacks_is_called_that(options_of: OptionsOf) -> None:
    options = options_of("PLAIN") | {"sasl_mechanism": "SCRAM-SHA-256"}
    with pytest.raises(AccessRefused, match=r"takes no login by SCRAM-SHA-256, only by .*SASL_MECHANISM"):
        await answered(settings_of(options))


async def test_a_login_is_renewed_before_the_broker_ends_it(options_of: OptionsOf) -> None:
    """No request fails, though the broker cuts every connection whose login is older than two seconds."""
    settings = settings_of(options_of("OAUTH", "BRIEF"))
    admin = new_admin(settings)
    await admin.start()
    client = admin._client
    seen: set[int] = set()
    try:
        end = time.monotonic() + 2.5 * BRIEF_SECONDS
        while time.monotonic() < end:
            assert (await admin.describe_cluster())["brokers"]
            seen |= {id(conn) for conn in client._conns.values()}
            await asyncio.sleep(0.02)
        assert trouble_of(client) is None
        assert len(seen) >= 3
    finally:
        await admin.close()


async def test_a_token_is_shared_and_renewed_before_it_ends(secured: SecuredBroker, options_of: OptionsOf) -> None:
    secured.tokens.seconds, before = 2.0, len(secured.tokens.given)
    options = options_of("OAUTH")
    try:
        end = time.monotonic() + 4
        while time.monotonic() < end:
            assert await answered(settings_of(options))
        assert 2 <= len(secured.tokens.given) - before <= 5
        assert secured.tokens.forms[-1] == {"grant_type": ["client_credentials"], "scope": ["kafka"]}
    finally:
        secured.tokens.seconds = 60.0
