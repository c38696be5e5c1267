"""The configuration of a small Apache Kafka: one node, broker and controller at once (KRaft).

Used by the local JVM as a properties file and by the container as environment variables.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

VERSION = "4.4.0"
NODE_ID = 1


@dataclass(frozen=True, slots=True)
class Listeners:
    """Where the node listens, and the address it tells its clients."""

    client: str
    controller: str
    advertised: str


def node_settings(listeners: Listeners, data_dir: str) -> dict[str, str]:
    """Broker settings, in Kafka's own names."""
    return {
        "process.roles": "broker,controller",
        "node.id": str(NODE_ID),
        "controller.quorum.voters": f"{NODE_ID}@{listeners.controller}",
        "controller.listener.names": "CONTROLLER",
        "listeners": f"PLAINTEXT://{listeners.client},CONTROLLER://{listeners.controller}",
        "advertised.listeners": f"PLAINTEXT://{listeners.advertised}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "inter.broker.listener.name": "PLAINTEXT",
        "log.dirs": data_dir,
        **_ALONE,
        **_SMALL,
        **_PROMPT,
    }


# A single node can't replicate.
_ALONE: Mapping[str, str] = {
    "default.replication.factor": "1",
    "min.insync.replicas": "1",
    "offsets.topic.replication.factor": "1",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
}

_SMALL: Mapping[str, str] = {
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.num.partitions": "4",
    "share.coordinator.state.topic.num.partitions": "1",
    "num.network.threads": "2",
    "num.io.threads": "4",
    "background.threads": "4",
    "log.cleaner.dedupe.buffer.size": str(16 * 1024 * 1024),
    "log.cleaner.io.buffer.size": str(128 * 1024),
    "log.index.size.max.bytes": str(1024 * 1024),
}

# The defaults suit clusters; tests and the demo can't wait that long.
_PROMPT: Mapping[str, str] = {
    "auto.create.topics.enable": "false",
    # A killed node can register again only after its last session has expired.
    "broker.heartbeat.interval.ms": "500",
    "broker.session.timeout.ms": "3000",
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": "1000",
    "log.cleaner.backoff.ms": "1000",
    "log.initial.task.delay.ms": "1000",
    "log.segment.delete.delay.ms": "1000",
}


def as_properties(settings: Mapping[str, str]) -> str:
    """The text of a Java properties file; backslashes are the only character of ours that needs an escape."""
    return "".join(f"{name}={value.replace(chr(92), chr(92) * 2)}\n" for name, value in settings.items())


def as_environment(settings: Mapping[str, str]) -> dict[str, str]:
    """As the variables the `apache/kafka` image reads: `KAFKA_`, upper case, dots to underscores.

    The image writes `_` in a setting's name as `__` and `-` as `___`; Kafka's names have neither here.
    """
    return {"KAFKA_" + name.replace(".", "_").upper(): value for name, value in settings.items()}
