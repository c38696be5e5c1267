"""The steps of the Docker adapter, on a container that is none; a real engine runs it when one answers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from docker import errors
from testcontainers.core import container as testcontainers
from testcontainers.core.config import ConnectionMode, testcontainers_config

from service.sandbox.broker import docker
from service.sandbox.broker.docker import DockerBroker
from service.sandbox.errors import BrokerError

pytestmark = pytest.mark.unit


class Container:
    """Records what is asked of it, as container of testcontainers and of docker at once."""

    made: list[Container]
    refuses = False
    mode = ConnectionMode.docker_host
    missing: tuple[str, ...] = ()

    def __init__(self, image: str) -> None:
        self.image = image
        self.env: dict[str, str] = {}
        self.ports: dict[str, Any] = {}
        self.calls: list[str] = []
        self.status = "created"
        Container.made.append(self)

    def get_docker_client(self) -> Container:
        return self

    def get_connection_mode(self) -> ConnectionMode:
        return Container.mode

    @property
    def client(self) -> Container:
        return self

    @property
    def images(self) -> Container:
        return self

    def get(self, image: str) -> None:
        if image in Container.missing:
            raise errors.ImageNotFound("404 Client Error for http+docker://localhost/...")

    def pull(self, image: str) -> None:
        self.calls.append(f"pull {image}")
        raise errors.APIError("500 Server Error", explanation="no such host: registry\nand more")

    def host(self) -> str:
        return "localhost"

    def with_env(self, name: str, value: str) -> None:
        self.env[name] = value

    def with_envs(self, **values: str) -> None:
        self.env.update(values)

    def get_wrapped_container(self) -> Container:
        return self

    def reload(self) -> None:
        """Nothing to fetch."""

    def start(self) -> None:
        if Container.refuses:
            raise RuntimeError("no such image\nand more")
        self.calls.append("start")
        self.status = "running"

    def stop(self, timeout: int | None = None) -> None:
        self.calls.append("remove" if timeout is None else "stop")
        self.status = "exited"

    def kill(self) -> None:
        self.calls.append("kill")
        self.status = "exited"

    def logs(self, tail: int) -> bytes:
        return b"the last line"


@pytest.fixture(autouse=True)
def containers(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Container]]:
    async def answers(*_: object, **__: object) -> None:
        return

    Container.made = []
    monkeypatch.setattr(testcontainers, "DockerContainer", Container)
    monkeypatch.setattr(docker, "wait_until_it_answers", answers)
    yield Container.made
    Container.refuses = False
    Container.mode = ConnectionMode.docker_host
    Container.missing = ()


async def test_the_port_is_bound_on_this_machine_only_and_is_the_one_clients_are_told(
    containers: list[Container],
) -> None:
    async with DockerBroker(port=29092) as broker:
        (made,) = containers
        assert broker.bootstrap_servers == "127.0.0.1:29092"
        assert made.image == docker.IMAGE
        assert made.ports == {"9092/tcp": ("127.0.0.1", 29092)}
        assert made.env["KAFKA_ADVERTISED_LISTENERS"] == "PLAINTEXT://127.0.0.1:29092"
        assert made.env["CLUSTER_ID"]


async def test_the_same_container_goes_on_after_a_restart_and_a_kill(containers: list[Container]) -> None:
    async with DockerBroker() as broker:
        await broker.restart()
        broker.kill()
        await broker.start()
    (made,) = containers
    assert made.calls == ["start", "stop", "start", "kill", "start", "remove"]


async def test_a_container_that_cannot_be_started_is_removed_and_the_reason_told(containers: list[Container]) -> None:
    Container.refuses = True
    with pytest.raises(BrokerError, match=r"apache/kafka:[\d.]+ could not be started: no such image$"):
        await DockerBroker().start()
    assert containers[0].calls == ["remove"]


@pytest.mark.parametrize("image", [docker.IMAGE, testcontainers_config.ryuk_image], ids=["broker", "reaper"])
async def test_an_image_that_cannot_be_fetched_is_named_before_anything_is_made(
    containers: list[Container], image: str
) -> None:
    Container.missing = (image,)
    told: list[str] = []
    with pytest.raises(BrokerError, match=rf"^{image} is not here and could not be fetched: no such host: registry$"):
        await DockerBroker(progress=told.append).start()
    assert told[-1] == f"fetching {image}"
    assert containers[0].calls == [f"pull {image}", "remove"]


async def test_without_a_way_to_the_ports_of_containers_none_is_started(containers: list[Container]) -> None:
    Container.mode = ConnectionMode.gateway_ip
    with pytest.raises(BrokerError, match="TESTCONTAINERS_CONNECTION_MODE=docker_host"):
        await DockerBroker().start()
    assert containers[0].calls == ["remove"]


async def test_a_broker_that_never_answers_is_removed_and_its_log_shown(
    containers: list[Container], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def silence(*_: object, **__: object) -> None:
        raise BrokerError("no answer")

    monkeypatch.setattr(docker, "wait_until_it_answers", silence)
    with pytest.raises(BrokerError, match="no answer\nthe end of its log:\nthe last line"):
        await DockerBroker().start()
    assert containers[0].calls == ["start", "remove"]
