"""Apache Kafka in a container, by testcontainers."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import socket
import uuid
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from service.sandbox.addresses import HOST, free_ports
from service.sandbox.broker.jars import Progress
from service.sandbox.broker.node import VERSION, Listeners, as_environment, node_settings
from service.sandbox.broker.readiness import wait_until_it_answers
from service.sandbox.errors import BrokerError
from service.sandbox.lifetime import Startable
from service.settings import KafkaSettings
from service.words import kind_of

if TYPE_CHECKING:
    from testcontainers.core.container import DockerContainer

IMAGE = f"apache/kafka:{VERSION}"
_LOOK_SECONDS = 2
_DEFAULT_HOST = "unix:///var/run/docker.sock"
_START_SECONDS = 120.0
_STOP_SECONDS = 20
_CONTAINER_PORT = 9092
_CONTROLLER_PORT = 9093
_DATA = "/var/lib/kafka/data"


def missing_engine() -> str | None:
    """Why no container can be run; None if a Docker engine answers. Blocks for a few seconds at most."""
    try:
        import docker
        import docker.errors
        import requests
        from testcontainers.core.docker_client import get_docker_host
    except ImportError:
        return "the sandbox extra is not installed"
    host = get_docker_host() or _DEFAULT_HOST
    if host.startswith("unix://"):
        # The Docker client leaks sockets if nobody listens, so check that first.
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(_LOOK_SECONDS)
            try:
                probe.connect(host.removeprefix("unix://"))
            except OSError as error:
                return f"no Docker engine answers at {host} ({error.strerror or error})"
    try:
        client = docker.DockerClient(base_url=host, timeout=_LOOK_SECONDS)
        try:
            client.ping()
        finally:
            client.close()
    except (docker.errors.DockerException, requests.RequestException, OSError) as error:
        return f"no Docker engine answers at {host} ({_first_line(error)})"
    return None


@contextlib.contextmanager
def _mapped(what: str) -> Iterator[None]:
    # docker, testcontainers and requests raise unrelated errors; all become `BrokerError` here.
    try:
        yield
    except BrokerError:
        raise
    except Exception as error:
        raise BrokerError(f"{what}: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    # Only the explanation of the Docker engine, without the request that it answers.
    text = str(getattr(error, "explanation", None) or error).strip()
    return (text or kind_of(error)).splitlines()[0]


def _fetch_missing(client: Any, images: Sequence[str], progress: Progress) -> None:
    # Done before containers are created: testcontainers leaks clients if the image of its reaper can't be pulled.
    import docker.errors

    for image in images:
        try:
            client.images.get(image)
        except docker.errors.ImageNotFound:
            progress(f"fetching {image}")
            with _mapped(f"{image} is not here and could not be fetched"):
                client.images.pull(image)


class DockerBroker(Startable):
    """One combined KRaft node in a container whose port is bound to a port of this machine.

    The address and the data last as long as the container: over `restart` and `kill` + `start`, until `stop`.
    testcontainers' own reaper removes it when this process dies. It has a `KafkaContainer`, but for another
    vendor's image; this one takes the settings of `node.py` like the local broker does.
    """

    def __init__(self, *, port: int | None = None, progress: Progress | None = None) -> None:
        self._demanded_port = port
        self._progress = progress or (lambda message: None)
        self._address: str | None = None
        self._container: DockerContainer | None = None

    @property
    def bootstrap_servers(self) -> str:
        """`host:port`; known from the first `start`."""
        if self._address is None:
            raise BrokerError("the broker has no address before its first start")
        return self._address

    def describe(self) -> str:
        return f"Apache Kafka {VERSION} in Docker at {self.bootstrap_servers}"

    def leaves(self) -> str | None:
        """The image, which is large."""
        return f"the image {IMAGE} in Docker"

    async def start(self) -> None:
        """Return when the broker answers clients; the first start may pull the image. Raises `BrokerError`."""
        if self._container is None:
            self._progress(f"starting {IMAGE}")
            with _mapped(f"{IMAGE} could not be started"):
                await asyncio.to_thread(self._create)
        elif self._status() != "running":
            with _mapped("the container could not be started again"):
                await asyncio.to_thread(self._container.get_wrapped_container().start)
        try:
            await wait_until_it_answers(
                KafkaSettings(bootstrap_servers=self.bootstrap_servers),
                timeout_seconds=_START_SECONDS,
                still_alive=lambda: self._status() in ("created", "running"),
            )
        except BrokerError as error:
            tail = self._log_tail()
            await self.stop()
            raise BrokerError(f"{error}\nthe end of its log:\n{tail}") from None

    async def stop(self) -> None:
        """Stop and remove the container with its data."""
        container, self._container, self._address = self._container, None, None
        if container is not None:
            with _mapped("the container could not be removed"):
                await asyncio.to_thread(container.stop)

    async def restart(self) -> None:
        """Stop in order and start again, with the same address and data."""
        if self._container is not None:
            with _mapped("the container could not be stopped"):
                await asyncio.to_thread(self._container.get_wrapped_container().stop, timeout=_STOP_SECONDS)
        await self.start()

    def kill(self) -> None:
        """SIGKILL; the data stays, and `start` brings it back."""
        if self._container is not None and self._status() == "running":
            with _mapped("the container could not be killed"):
                self._container.get_wrapped_container().kill()

    def _create(self) -> None:
        from testcontainers.core.config import ConnectionMode, testcontainers_config
        from testcontainers.core.container import DockerContainer

        container = DockerContainer(IMAGE)
        client = container.get_docker_client()
        try:
            if client.get_connection_mode() != ConnectionMode.docker_host:
                raise BrokerError(
                    "this process seems to run in a container; set REELWIRE_KAFKA__BOOTSTRAP_SERVERS, or set "
                    "TESTCONTAINERS_CONNECTION_MODE=docker_host if the engine's ports are open at localhost here"
                )
            reaper = testcontainers_config.hub_image_name_prefix + testcontainers_config.ryuk_image
            reapers = [] if testcontainers_config.ryuk_disabled else [reaper]
            _fetch_missing(client.client, [container.image, *reapers], self._progress)
        except BaseException:
            container.stop()  # the container was not started; this only closes its client
            raise
        host = client.host()
        port = self._demanded_port or free_ports(1)[0]
        self._address = f"{HOST if host == 'localhost' else host}:{port}"
        listeners = Listeners(
            client=f"0.0.0.0:{_CONTAINER_PORT}",
            controller=f"localhost:{_CONTROLLER_PORT}",
            advertised=self._address,
        )
        cluster_id = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        container.with_envs(CLUSTER_ID=cluster_id, **as_environment(node_settings(listeners, _DATA)))
        container.with_env("KAFKA_HEAP_OPTS", "-Xmx512m")
        # with_bind_ports would open the port to the whole network.
        is_here = self._address.startswith(HOST)
        ports: dict[str, Any] = container.ports
        ports[f"{_CONTAINER_PORT}/tcp"] = (HOST, port) if is_here else port
        self._container = container
        try:
            container.start()
        except BaseException:
            self._container = None
            with contextlib.suppress(Exception):
                container.stop()
            raise

    def _status(self) -> str:
        if self._container is None:
            return "removed"
        wrapped = self._container.get_wrapped_container()
        wrapped.reload()
        return str(wrapped.status)

    def _log_tail(self) -> str:
        if self._container is None:
            return ""
        return bytes(self._container.get_wrapped_container().logs(tail=25)).decode(errors="replace")
