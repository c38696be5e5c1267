"""Who is a member of a consumer group at this moment, and of which topics."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.coordinator.protocol import ConsumerProtocolMemberMetadata
from aiokafka.errors import GroupAuthorizationFailedError, KafkaError, for_code

from service.errors import ReelwireError
from service.kafka.connecting.connection import broker_unavailable, client_options
from service.settings import KafkaSettings

_PAUSE_SECONDS = 0.2


class GroupHidden(ReelwireError):
    """We may not look at a group: the right DESCRIBE is missing."""

    def __init__(self, group: str) -> None:
        super().__init__(f"the right DESCRIBE on group {group} is missing")
        self.group = group


@dataclass(frozen=True, slots=True)
class GroupMember:
    """One member. `topics` is what it subscribes to; None during a rebalance, when Kafka does not say."""

    client_id: str
    host: str
    topics: frozenset[str] | None

    def __str__(self) -> str:
        return f"{self.client_id} at {self.host.lstrip('/')}"


async def members_of(settings: KafkaSettings, group: str) -> list[GroupMember]:
    """The members of a group; none for a group that does not exist. Bounded in time.

    Raises `BrokerUnavailable` when nobody answers, `GroupHidden` when we may not know.
    """
    admin = AIOKafkaAdminClient(**client_options(settings))
    try:
        async with asyncio.timeout(settings.call_timeout_seconds):
            await admin.start()
            while True:
                try:
                    [response] = await admin.describe_consumer_groups([group])
                    code, _, _, _, _, members, *_ = response.groups[0]
                    error = for_code(code)
                    if error.errno == 0:
                        return [_member(*member) for member in members]
                    raise error
                except GroupAuthorizationFailedError:
                    raise GroupHidden(group) from None
                except KafkaError as problem:
                    if not problem.retriable:  # else the coordinator is being chosen
                        raise
                await asyncio.sleep(_PAUSE_SECONDS)
    except (KafkaError, TimeoutError, OSError) as error:
        raise broker_unavailable(settings, error) from None
    finally:
        await admin.close()


def _member(_id: str, client_id: str, host: str, metadata: bytes, *_: object) -> GroupMember:
    topics: frozenset[str] | None = None
    if metadata:
        try:
            topics = frozenset(ConsumerProtocolMemberMetadata.decode(metadata).subscription)
        except (ValueError, TypeError):
            topics = None
    return GroupMember(client_id, host, topics)
