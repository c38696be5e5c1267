"""Who is a member of a consumer group at this moment, and of which topics."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from aiokafka.coordinator.protocol import ConsumerProtocolMemberMetadata
from aiokafka.errors import (
    GroupAuthorizationFailedError,
    KafkaError,
    for_code,
)

from service.errors import ReelwireError
from service.kafka.connecting.connection import broker_unavailable, new_admin
from service.kafka.other_clients.topic_names import TopicNames
from service.settings import KafkaSettings

_PAUSE_SECONDS = 0.2

_T = TypeVar("_T")


class GroupHidden(ReelwireError):
    """We may not look at a group: the right DESCRIBE is missing."""

    def __init__(self, group: str) -> None:
        super().__init__(f"the right DESCRIBE on group {group} is missing")
        self.group = group


@dataclass(frozen=True, slots=True)
class GroupMember:
    """One member. `topics` is what it subscribes to; None during a rebalance, when Kafka does not say.

    `names` are the topics of the deployment it belongs to; None unless it is a process of this service.
    """

    client_id: str
    host: str
    topics: frozenset[str] | None
    names: TopicNames | None = None

    def __str__(self) -> str:
        return f"{self.client_id} at {self.host.lstrip('/')}"


async def members_of(settings: KafkaSettings, group: str) -> list[GroupMember]:
    """The members of a group; none for a group that does not exist. Bounded in time.

    Raises `BrokerUnavailable` when nobody answers, `GroupHidden` when we may not know.
    """

    async def ask(admin: Any) -> list[GroupMember]:
        try:
            [response] = await admin.describe_consumer_groups([group])
            code, _, _, _, _, members, *_ = response.groups[0]
            _raise_for(code)
        except GroupAuthorizationFailedError:
            raise GroupHidden(group) from None
        return [_member(*member) for member in members]

    return await _patiently(settings, ask)


async def members_by_group(settings: KafkaSettings, most: int) -> dict[str, list[GroupMember]]:
    """The members of the first `most` consumer groups that we may describe. Raises `BrokerUnavailable`."""

    async def ask(admin: Any) -> dict[str, list[GroupMember]]:
        listed = await admin.list_consumer_groups()
        groups = sorted(group for group, protocol, *_ in listed if protocol == "consumer")[:most]
        found: dict[str, list[GroupMember]] = {}
        for name in groups:
            # One group in each question: aiokafka reads an answer of version 3 by the form of version 2, which lacks
            # the last field of each group. An answer with two groups can then not be decoded.
            [answer] = await admin.describe_consumer_groups([name])
            code, group, _, _, _, members, *_ = answer.groups[0]
            if code == 0:
                found[group] = [_member(*member) for member in members]
        return found

    return await _patiently(settings, ask)


async def _patiently(settings: KafkaSettings, ask: Callable[[Any], Awaitable[_T]]) -> _T:
    """Ask with a client of its own until Kafka answers. Raises `BrokerUnavailable`."""
    admin = new_admin(settings)
    try:
        async with asyncio.timeout(settings.call_timeout_seconds):
            await admin.start()
            while True:
                try:
                    return await ask(admin)
                except KafkaError as problem:
                    if not problem.retriable:  # else the coordinator is being chosen
                        raise
                await asyncio.sleep(_PAUSE_SECONDS)
    except (KafkaError, TimeoutError, OSError) as error:
        raise await broker_unavailable(settings, error) from None
    finally:
        await admin.close()


def _raise_for(code: int) -> None:
    error = for_code(code)
    if error.errno != 0:
        raise error()


def _member(_id: str, client_id: str, host: str, metadata: bytes, *_: object) -> GroupMember:
    topics: frozenset[str] | None = None
    names: TopicNames | None = None
    if metadata:
        try:
            decoded = ConsumerProtocolMemberMetadata.decode(metadata)
            topics = frozenset(decoded.subscription)
            names = TopicNames.found_in(decoded.user_data or b"")
        except (ValueError, TypeError):
            topics = None
    return GroupMember(client_id, host, topics, names)
