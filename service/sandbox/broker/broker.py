"""The interface of a broker for demo, tests and development, and the choice between its implementations."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Literal, Protocol

import structlog

from service.sandbox.broker.docker import DockerBroker, missing_engine
from service.sandbox.broker.external_cluster import ExternalCluster
from service.sandbox.broker.jars import Progress
from service.sandbox.broker.local import LocalBroker
from service.sandbox.errors import BrokerError
from service.sandbox.lifetime import Startable
from service.settings import Settings
from service.telemetry.events import LogEvent

log = structlog.get_logger()

Kind = Literal["given", "docker", "local"]
_NAMES: dict[Kind, str] = {"given": "the given cluster", "docker": "Docker", "local": "the local JVM"}


class Broker(Startable, Protocol):
    """A broker that demo and tests can use. It is not bound to an event loop."""

    @property
    def bootstrap_servers(self) -> str:
        """`host:port`; stays the same over `restart` and `kill` + `start`."""
        ...

    def describe(self) -> str:
        """What it is and where, for people."""
        ...

    def leaves(self) -> str | None:
        """What is still there after `stop`, and where, for people; None for nothing."""
        ...

    async def start(self) -> None:
        """Return when it answers clients; does nothing while it runs. Raises `BrokerError`."""
        ...

    async def stop(self) -> None:
        """Stop in order. Nothing is left running; data is deleted unless the caller gave a folder for it."""
        ...

    async def restart(self) -> None:
        """Stop in order and start again, with its data."""
        ...

    def kill(self) -> None:
        """SIGKILL, for tests; `start` brings it back with its data."""
        ...


def kinds_to_try(settings: Settings) -> tuple[Kind, ...]:
    """The kinds of broker to try, in order. A kind that the settings name is the only one."""
    if is_given(settings):
        return ("given",)
    if settings.sandbox.broker == "auto":
        return ("docker", "local")
    return (settings.sandbox.broker,)


def is_given(settings: Settings) -> bool:
    """Whether the user has set the address of a cluster. The default address does not count."""
    return "bootstrap_servers" in settings.kafka.model_fields_set


async def open_broker(
    settings: Settings,
    *,
    progress: Progress | None = None,
    data_dir: Path | None = None,
    port: int | None = None,
    docker_obstacle: Callable[[], str | None] = missing_engine,
) -> Broker:
    """Start and return the first broker that works: the cluster in the settings, Docker, or the local JVM.

    `REELWIRE_SANDBOX__BROKER` narrows the choice to one of the last two. Data in a folder of the caller's is kept by
    the local broker only. Which one was taken, and why others were not, goes to `progress` and the log. Raises
    `BrokerError` with every reason when none works.
    """
    tell = progress or (lambda message: None)
    passed_over: list[str] = []
    for kind in kinds_to_try(settings):
        obstacle = None
        if kind == "docker":
            keeps_no_folder = "it keeps no data folder" if data_dir is not None else None
            obstacle = keeps_no_folder or await asyncio.to_thread(docker_obstacle)
        if obstacle is None:
            broker = _make(kind, settings, progress, data_dir, port)
            try:
                await broker.start()
            except BrokerError as error:
                obstacle = str(error)
            else:
                log.info(LogEvent.BROKER_CHOSEN, broker=broker.describe(), passed_over=passed_over)
                tell(f"using {broker.describe()}")
                return broker
        passed_over.append(f"not {_NAMES[kind]}: {obstacle}")
        log.info(LogEvent.BROKER_PASSED_OVER, broker=_NAMES[kind], reason=obstacle)
        tell(passed_over[-1])
    raise BrokerError("no broker could be started\n" + "\n".join(passed_over))


def _make(kind: Kind, settings: Settings, progress: Progress | None, data_dir: Path | None, port: int | None) -> Broker:
    if kind == "given":
        return ExternalCluster(settings.kafka)
    if kind == "docker":
        return DockerBroker(port=port, progress=progress)
    return LocalBroker(data_dir=data_dir, port=port, progress=progress)
