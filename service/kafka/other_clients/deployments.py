"""Two deployments that get in each other's way: found by who is a member of their groups, and refused by name.

Different groups on the same topics would both pay for every request; members of one group with different
topics would fence each other, or lose each other's jobs. Why it is decided like this:
docs/decisions/0011-one-deployment-per-topics.md.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import orjson

from service.errors import ProcessError, RetryLater
from service.kafka.other_clients.group_members import GroupHidden, GroupMember, members_of
from service.kafka.other_clients.topic_names import TopicNames
from service.settings import Settings

_REBALANCE_SECONDS = 5.0
_AGAIN_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Deployment:
    """All processes that share one group and one requests topic."""

    group: str
    requests: str

    @classmethod
    def of(cls, settings: Settings) -> Deployment:
        """The deployment that a process with these settings belongs to."""
        return cls(settings.kafka.group_id, settings.topics.requests)

    def __str__(self) -> str:
        return f"group {self.group}, requests topic {self.requests}"


@dataclass(frozen=True, slots=True)
class DeploymentNote:
    """What a deployment leaves in a partition of the jobs topic: who it is, which process wrote it, and when."""

    deployment: Deployment
    process: str
    at_ms: int

    def encode(self) -> bytes:
        """The record's value: compact JSON."""
        return orjson.dumps(
            {
                "v": 1,
                "group": self.deployment.group,
                "requests": self.deployment.requests,
                "owner": self.process,
                "at_ms": self.at_ms,
            }
        )

    @classmethod
    def decode(cls, value: bytes | None) -> DeploymentNote | None:
        """Read a record's value; None for what this program can't read."""
        try:
            note = orjson.loads(value or b"")
            deployment = Deployment(str(note["group"]), str(note["requests"]))
            return cls(deployment, str(note["owner"]), int(note["at_ms"]))
        except (ValueError, TypeError, KeyError):
            return None


class GroupUnknown(RetryLater):
    """We may not look at our own group now: the right to it has been taken away."""


class DeploymentRefused(ProcessError):
    """Another deployment that is running has these topics or this group."""


def running(deployment: Deployment, members: list[GroupMember]) -> list[GroupMember]:
    """The members of its group that belong to a deployment; one whose topics Kafka does not tell counts."""
    return [member for member in members if member.topics is None or deployment.requests in member.topics]


async def refuse_strangers(settings: Settings) -> None:
    """Raise `DeploymentRefused` when our group has members with other topics than ours, be it one of them.

    Called before joining and after being fenced. Waits for the end of a rebalance, for some seconds:
    only then Kafka says who reads what. Raises `BrokerUnavailable` when nobody answers.
    """
    own, names = Deployment.of(settings), TopicNames.of(settings.topics)

    async def look() -> bool:
        try:
            members = await members_of(settings.kafka, own.group)
        except GroupHidden as error:
            raise GroupUnknown(f"{error}: grant READ on group {own.group}, which contains it") from None
        for member in members:
            if member.topics is not None and own.requests not in member.topics:
                raise DeploymentRefused(
                    f"group {own.group} is in use by a deployment with other topics: {member} reads "
                    f"{', '.join(sorted(member.topics))}, this one reads {own.requests}. Members of one group with "
                    "different topics fence each other: give one of the two deployments a REELWIRE_KAFKA__GROUP_ID "
                    "of its own"
                )
            if member.names is not None and names.differences(member.names):
                raise DeploymentRefused(_differing(own, member, member.names, names))
        return all(member.topics is not None for member in members)

    await _until_settled(look)


async def _until_settled(look: Callable[[], Awaitable[bool]]) -> None:
    """Look again until everybody's topics are known, for some seconds."""
    loop = asyncio.get_running_loop()
    end = loop.time() + _REBALANCE_SECONDS
    while not await look() and loop.time() < end:
        await asyncio.sleep(_AGAIN_SECONDS)


def _differing(own: Deployment, member: GroupMember, theirs: TopicNames, ours: TopicNames) -> str:
    which = "; ".join(
        f"REELWIRE_TOPICS__{role.upper()} is {theirs[role]} there and {ours[role]} here"
        for role in ours.differences(theirs)
    )
    return (
        f"group {own.group} is in use by a deployment with other topics: {member}: {which}. Members of one group with "
        "different topics lose each other's jobs and pay twice: give both the same topics, stop the other one before "
        "you change a name, or give this one a REELWIRE_KAFKA__GROUP_ID and a REELWIRE_TOPICS__REQUESTS of its own"
    )
