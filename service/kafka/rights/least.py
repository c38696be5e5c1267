"""The least rights of the service, of `reelwire ingest` and of the console, and how an operator grants them. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Literal

from contracts.topics import Role
from service.settings import Settings

READ_ROLES = (Role.REQUESTS, Role.COMPLETIONS, Role.JOBS, Role.FINISHED, Role.ASSETS, Role.HANDOVERS, Role.LEDGER)
"""Completions are read again for a request that is repeated; the rest is intake, or private."""

CONSOLE_ROLES = (
    Role.REQUESTS,
    Role.FRAGMENTS,
    Role.COMPLETIONS,
    Role.PROGRESS,
    Role.DEAD_LETTERS,
    Role.JOBS,
)
"""What the console reads; requests for what was sent again."""

WRITE_ROLES = tuple(role for role in Role if role is not Role.REQUESTS)


@dataclass(frozen=True, slots=True)
class Right:
    """One operation on one resource, or with `prefix` on all whose names begin with it.

    `required`: without it the service does not work. One that is not required is named, and holds nothing up.
    """

    operation: Literal["READ", "WRITE", "DESCRIBE", "DESCRIBE_CONFIGS"]
    kind: Literal["topic", "group", "transactional id"]
    name: str
    prefix: bool = False
    required: bool = True

    def __str__(self) -> str:
        which = f"{self.kind}s that begin with" if self.prefix else self.kind
        return f"{self.operation} on {which} {self.name}"


def least_rights(settings: Settings) -> tuple[Right, ...]:
    """Every right that the service needs with these settings, topics first.

    The ledger is always read, for pauses; it is written only where a quota or a limit of spending is shared by it.
    """
    topics, kafka = settings.topics, settings.kafka
    rights: list[Right] = []
    for role in Role:
        name, shared = getattr(topics, role.value), settings.quota.limited or settings.cost.limited
        if role in READ_ROLES:
            rights.append(Right("READ", "topic", name))
        if role in WRITE_ROLES:
            rights.append(Right("WRITE", "topic", name, required=shared or role is not Role.LEDGER))
    rights.append(Right("READ", "group", kafka.group_id))
    if kafka.delivery == "exactly_once":
        rights.append(Right("WRITE", "transactional id", f"{kafka.group_id}-", prefix=True))
    return tuple(rights)


def console_rights(settings: Settings) -> tuple[Right, ...]:
    """Every right that the console needs: to read, to see the group, and with a token to write what its acts write.

    It is in no group, so it has no right to read as one, and it never writes what the service writes.
    """
    topics, acts = settings.topics, settings.console.sign_in_token() is not None
    rights: list[Right] = []
    for role in CONSOLE_ROLES:
        rights.append(Right("READ", "topic", getattr(topics, role.value)))
        if acts and role in (Role.REQUESTS, Role.DEAD_LETTERS):
            rights.append(Right("WRITE", "topic", getattr(topics, role.value)))
    rights.append(Right("DESCRIBE", "group", settings.kafka.group_id, required=acts))
    return tuple(rights)


def ingest_rights(settings: Settings, sources: Sequence[str], group_id: str) -> tuple[Right, ...]:
    """Every right that `reelwire ingest` needs: to read notifications, and to send what comes of them as one process.

    `sources` are the topics of notifications, none for a folder. The group's name is also the transactional id. The
    requests are read, too: for what was sent before, and a watched folder keeps its place in their topic.
    """
    topics = settings.topics
    return (
        Right("READ", "topic", topics.requests),
        Right("WRITE", "topic", topics.requests),
        Right("WRITE", "topic", topics.dead_letters),
        *(Right("READ", "topic", source) for source in sources),
        Right("READ", "group", group_id),
        Right("WRITE", "transactional id", group_id),
    )


def rights_with_checks(settings: Settings) -> tuple[Right, ...]:
    """The least rights, and for each topic the one to look at its limits and its cleanup policy."""
    found: list[Right] = []
    for (kind, name), of_one in groupby(least_rights(settings), lambda right: (right.kind, right.name)):
        found += of_one
        if kind == "topic":
            found.append(Right("DESCRIBE_CONFIGS", "topic", name, required=False))
    return tuple(found)


def default_principal(settings: Settings) -> str:
    """The user of the login; else a name to be replaced: the broker decides what a certificate is called."""
    return f"User:{settings.kafka.sasl_username or settings.kafka.sasl_oauth_client_id or 'reelwire'}"


def as_commands(rights: Iterable[Right], bootstrap_servers: str, principal: str) -> list[str]:
    """A call of Apache Kafka's `kafka-acls.sh` for each resource."""
    options = {"topic": "--topic", "group": "--group", "transactional id": "--transactional-id"}
    lines = []
    for (kind, name, prefix), of_one in groupby(rights, lambda right: (right.kind, right.name, right.prefix)):
        operations = [part for right in of_one for part in ("--operation", _CAMEL[right.operation])]
        words = ["kafka-acls.sh", "--bootstrap-server", bootstrap_servers, "--add", "--allow-principal", principal]
        pattern = ["--resource-pattern-type", "prefixed"] if prefix else []
        lines.append(shlex.join([*words, *operations, options[kind], name, *pattern]))
    return lines


def as_strimzi(rights: Iterable[Right]) -> list[dict[str, Any]]:
    """The `acls` of a Strimzi `KafkaUser`."""
    kinds = {"topic": "topic", "group": "group", "transactional id": "transactionalId"}
    return [
        {
            "resource": {"type": kinds[kind], "name": name, "patternType": "prefix" if prefix else "literal"},
            "operations": [_CAMEL[right.operation] for right in of_one],
            "host": "*",
        }
        for (kind, name, prefix), of_one in groupby(rights, lambda right: (right.kind, right.name, right.prefix))
    ]


_CAMEL = {"READ": "Read", "WRITE": "Write", "DESCRIBE": "Describe", "DESCRIBE_CONFIGS": "DescribeConfigs"}
