"""A cluster of the user, used as it is: never started, stopped or changed by us."""

from __future__ import annotations

from service.sandbox.broker.readiness import wait_until_it_answers
from service.sandbox.errors import BrokerError
from service.sandbox.lifetime import Startable
from service.settings import KafkaSettings

_ANSWER_SECONDS = 15.0


class ExternalCluster(Startable):
    """The cluster that `REELWIRE_KAFKA__BOOTSTRAP_SERVERS` names."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings

    @property
    def bootstrap_servers(self) -> str:
        return self._settings.bootstrap_servers

    def describe(self) -> str:
        return f"the given cluster at {self.bootstrap_servers}"

    def leaves(self) -> str | None:
        """Topics, their records and the group's offsets: the cluster is the user's."""
        return f"the topics and the group's offsets on {self.bootstrap_servers}"

    async def start(self) -> None:
        """Return when it answers; raises `BrokerError` after fifteen seconds without an answer."""
        await wait_until_it_answers(self._settings, timeout_seconds=_ANSWER_SECONDS)

    async def stop(self) -> None:
        """Do nothing: the cluster belongs to the user."""

    async def restart(self) -> None:
        raise BrokerError(f"{self.describe()} is not ours to restart")

    def kill(self) -> None:
        raise BrokerError(f"{self.describe()} is not ours to kill")
