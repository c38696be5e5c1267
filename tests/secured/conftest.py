"""The secured broker, and settings for each way to log in to it."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol, TypeVar

import pytest

from service.sandbox.system import System, own_names
from service.settings import KafkaSettings
from tests.harness.stage import BRISK, QUICK, Stage
from tests.secured.broker import PASSWORD, USER, SecuredBroker
from tests.secured.token_server import CLIENT, SECRET

T = TypeVar("T")
Options = dict[str, Any]


class OptionsOf(Protocol):
    """`options_of("SCRAM")`: the settings of a client that logs in like that."""

    def __call__(self, mode: str, listener: str | None = None) -> Options: ...


def run_apart(work: Coroutine[Any, Any, T]) -> T:
    """In a thread of its own, so that the loops of tests are left alone."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


@pytest.fixture(scope="package")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredBroker]:
    made = SecuredBroker(tmp_path_factory.mktemp("secured"))
    run_apart(made.start())
    made.add_scram_user()
    yield made
    run_apart(made.stop())


@pytest.fixture
def options_of(secured: SecuredBroker, tmp_path: Path) -> OptionsOf:

    def make(mode: str, listener: str | None = None) -> Options:
        trust = {"ssl_cafile": str(secured.authority.file)}
        sasl = {"security_protocol": "SASL_SSL", "bootstrap_servers": secured.address(listener or "LOGIN"), **trust}
        cert, key = secured.folder / f"{USER}.crt", secured.folder / f"{USER}.key"
        if mode.startswith("MUTUAL"):
            cert, key = secured.authority.certificate(USER, password="key-pw" if mode == "MUTUAL LOCKED" else None)
        own = {"ssl_certfile": str(cert), "ssl_keyfile": str(key)}
        tls = {"security_protocol": "SSL", **trust}
        match mode:
            case "TLS":
                return {**tls, "bootstrap_servers": secured.address("TLS")}
            case "MUTUAL":
                return {**tls, **own, "bootstrap_servers": secured.address("MUTUAL")}
            case "MUTUAL LOCKED":
                return {**tls, **own, "bootstrap_servers": secured.address("MUTUAL"), "ssl_key_password": "key-pw"}
            case "PLAIN":
                return {**sasl, "sasl_mechanism": "PLAIN", "sasl_username": USER, "sasl_password": PASSWORD}
            case "SCRAM":
                file = tmp_path / "password"
                file.write_text(PASSWORD)
                login = {"sasl_username": USER, "sasl_password_file": str(file)}
                return {**sasl, "sasl_mechanism": "SCRAM-SHA-512", **login}
            case "OAUTH":
                file = tmp_path / "oauth-secret"
                file.write_text(f"{SECRET}\n")
                return {
                    **sasl,
                    "sasl_mechanism": "OAUTHBEARER",
                    "sasl_oauth_token_url": secured.tokens.url,
                    "sasl_oauth_client_id": CLIENT,
                    "sasl_oauth_client_secret_file": str(file),
                    "sasl_oauth_scope": "kafka",
                }
            case _:
                raise ValueError(mode)

    return make


def settings_of(options: Options) -> KafkaSettings:
    return KafkaSettings.model_validate(options)


def as_environment(options: Options) -> dict[str, str]:
    return {f"REELWIRE_KAFKA__{name.upper()}": str(value) for name, value in options.items()}


@pytest.fixture
def stage(secured: SecuredBroker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Topics and emulator; the administrator made the topics, and no service runs yet."""
    videos = tmp_path_factory.mktemp("videos")
    own = own_names(f"t{uuid.uuid4().hex[:12]}", partitions=2)
    system = System(
        secured.local.bootstrap_servers,
        folder=tmp_path_factory.mktemp("system"),
        environment={**QUICK, **own, "REELWIRE_KAFKA__RIGHTS_CHECK_SECONDS": "0.2"},
        file_roots=(videos,),
    )

    async def begin() -> None:
        await system.start()
        await system.pace(**BRISK)

    run_apart(begin())
    yield Stage(system, videos)
    run_apart(system.stop())
