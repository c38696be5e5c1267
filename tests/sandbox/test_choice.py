"""Which broker is taken, and what is said about the others."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from service.sandbox.broker import external_cluster
from service.sandbox.broker.broker import Broker, kinds_to_try, open_broker
from service.sandbox.broker.docker import missing_engine
from service.sandbox.broker.external_cluster import ExternalCluster
from service.sandbox.broker.local import LocalBroker
from service.sandbox.errors import BrokerError
from service.settings import KafkaSettings, SandboxSettings, Settings

pytestmark = pytest.mark.integration


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REELWIRE_KAFKA__BOOTSTRAP_SERVERS", raising=False)
    monkeypatch.delenv("REELWIRE_SANDBOX__BROKER", raising=False)


def no_engine() -> str | None:
    return "no engine here"


def test_docker_comes_before_the_local_broker() -> None:
    assert kinds_to_try(Settings()) == ("docker", "local")


@pytest.mark.parametrize("wish", ["docker", "local"])
def test_a_broker_asked_for_by_name_is_the_only_one_tried(monkeypatch: pytest.MonkeyPatch, wish: str) -> None:
    monkeypatch.setenv("REELWIRE_SANDBOX__BROKER", wish)
    assert kinds_to_try(Settings()) == (wish,)


def test_a_given_cluster_comes_before_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REELWIRE_KAFKA__BOOTSTRAP_SERVERS", "127.0.0.1:9092")
    monkeypatch.setenv("REELWIRE_SANDBOX__BROKER", "docker")
    assert kinds_to_try(Settings()) == ("given",)


async def test_the_given_cluster_is_used_and_left_running(broker: Broker) -> None:
    settings = Settings(kafka=KafkaSettings(bootstrap_servers=broker.bootstrap_servers))
    told: list[str] = []
    async with await open_broker(settings, progress=told.append) as opened:
        assert isinstance(opened, ExternalCluster)
        with pytest.raises(BrokerError, match="not ours to kill"):
            opened.kill()
    assert told == [f"using the given cluster at {broker.bootstrap_servers}"]
    await ExternalCluster(settings.kafka).start()


async def test_a_given_cluster_that_does_not_answer_is_not_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(external_cluster, "_ANSWER_SECONDS", 0.2)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{closed.getsockname()[1]}"
        with pytest.raises(BrokerError, match=f"not the given cluster: {address} gave no answer within 0.2 s"):
            await open_broker(Settings(kafka=KafkaSettings(bootstrap_servers=address)))


async def test_docker_asked_for_without_an_engine_is_an_error_with_the_reason() -> None:
    settings = Settings(sandbox=SandboxSettings(broker="docker"))
    with pytest.raises(BrokerError, match="not Docker: no engine here"):
        await open_broker(settings, docker_obstacle=no_engine)


async def test_the_local_broker_is_taken_without_an_engine_and_the_reason_told() -> None:
    told: list[str] = []
    async with await open_broker(Settings(), progress=told.append, docker_obstacle=no_engine) as opened:
        assert isinstance(opened, LocalBroker)
        assert told[0] == "not Docker: no engine here"
        assert told[-1] == f"using {opened.describe()}"


async def test_every_reason_is_told_when_nothing_works(tmp_path: Path) -> None:
    told: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(BrokerError, match="no broker could be started"):
            await open_broker(Settings(), progress=told.append, data_dir=tmp_path, port=port, docker_obstacle=no_engine)
    assert told[0] == "not Docker: it keeps no data folder"
    assert told[-1].startswith(f"not the local JVM: port {port} on 127.0.0.1 was chosen for the broker and is in use")


@pytest.mark.parametrize("listening", [False, True], ids=["nobody listens", "it never answers"])
def test_looking_for_an_engine_ends_soon_also_when(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, listening: bool
) -> None:
    path = tmp_path / "docker.sock"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        if listening:
            server.listen()
        monkeypatch.setenv("DOCKER_HOST", f"unix://{path}")
        assert (missing_engine() or "").startswith(f"no Docker engine answers at unix://{path}")
