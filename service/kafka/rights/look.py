"""Which of the least rights are missing: asked of the brokers, without doing anything that a right is for.

Brokers tell what we may do with a topic (Kafka 2.3 and later) and with a group. A transactional id is looked up, which
takes the right to describe it, and that is a part of WRITE. What a broker does not tell counts as granted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any

from aiokafka.client import CoordinationType
from aiokafka.errors import (
    CoordinatorNotAvailableError,
    GroupAuthorizationFailedError,
    KafkaError,
    TransactionalIdAuthorizationFailed,
    for_code,
)

from service.kafka.connecting.connection import broker_unavailable, client_of, is_unreachable, new_admin
from service.kafka.connecting.reconnection import trouble_of
from service.kafka.rights.least import Right, least_rights
from service.kafka.rights.requests import GroupRightsRequest, TopicRightsRequest
from service.settings import Settings

_BITS = {"READ": 1 << 3, "WRITE": 1 << 4, "DESCRIBE_CONFIGS": 1 << 10}
_NOT_TOLD = -(2**31)
_AGAIN_SECONDS = 0.2
_TOPIC_DENIED, _GROUP_DENIED = 29, 30


async def missing_rights(client: Any, rights: Iterable[Right]) -> list[Right]:
    """Those of `rights` that our principal does not have. `client` is a started client of aiokafka.

    Raises `KafkaError` when a broker does not answer.
    """
    wanted = list(rights)
    topics = await _topics(client, sorted({right.name for right in wanted if right.kind == "topic"}))
    told = {("topic", name): operations for name, operations in topics.items()}
    for group in {right.name for right in wanted if right.kind == "group"}:
        told["group", group] = await _group(client, group)
    for right in wanted:
        if right.kind == "transactional id":
            one = f"{right.name}0" if right.prefix else right.name
            told[right.kind, right.name] = await _transactional_id(client, one)
    return [right for right in wanted if not told[right.kind, right.name] & _BITS[right.operation]]


_ALL = sum(_BITS.values())
_NONE = 0


async def _topics(client: Any, names: list[str]) -> dict[str, int]:
    """The operations that we may do with each topic, as bits. One that does not exist is no question of rights."""
    try:
        answer = await client.send(client.get_random_node(), TopicRightsRequest(names))
    except NotImplementedError:  # an old broker
        return dict.fromkeys(names, _ALL)
    told: dict[str, int] = dict.fromkeys(names, _ALL)
    for code, name, _internal, _partitions, operations in answer.topics:
        if code == _TOPIC_DENIED:
            told[name] = _NONE
        elif code == 0 and operations != _NOT_TOLD:
            told[name] = operations
    return told


async def _group(client: Any, group: str) -> int:
    try:
        coordinator = await client.coordinator_lookup(CoordinationType.GROUP, group)
        answer = await client.send(coordinator, GroupRightsRequest(group))
    except GroupAuthorizationFailedError:
        return _NONE
    except NotImplementedError:
        return _ALL
    [(code, *_, operations)] = answer.groups
    if code == _GROUP_DENIED:
        return _NONE
    if code:
        raise for_code(code)()
    return _ALL if operations == _NOT_TOLD else int(operations)


async def _transactional_id(client: Any, name: str) -> int:
    try:
        await client.coordinator_lookup(CoordinationType.TRANSACTION, name)
    except TransactionalIdAuthorizationFailed:
        return _NONE
    except CoordinatorNotAvailableError:
        return _ALL  # being chosen; or a broker without transactions
    return _ALL


class RightsLook:
    """Asks which rights are missing, again and again, with one client of its own."""

    def __init__(self, settings: Settings, rights: Sequence[Right] | None = None) -> None:
        """`rights` are those of the service by default."""
        self._settings = settings
        self._rights = least_rights(settings) if rights is None else rights
        self._admin: Any = None

    async def missing(self) -> list[Right]:
        """Ask now. Raises `BrokerUnavailable` when no broker answers in time."""
        kafka = self._settings.kafka
        try:
            async with asyncio.timeout(kafka.call_timeout_seconds):
                if self._admin is None:
                    admin = new_admin(kafka)
                    try:
                        await admin.start()
                    except BaseException:
                        await admin.close()
                        raise
                    self._admin = admin
                return await self._asked()
        except (KafkaError, TimeoutError, OSError) as error:
            trouble = trouble_of(client_of(self._admin)) if self._admin is not None else None
            raise await broker_unavailable(kafka, trouble or error) from None

    async def _asked(self) -> list[Right]:
        """Ask until everything is told: a new cluster has to choose its coordinators first."""
        while True:
            try:
                return await missing_rights(client_of(self._admin), self._rights)
            except KafkaError as error:
                if is_unreachable(error) or not error.retriable:
                    raise
            await asyncio.sleep(_AGAIN_SECONDS)

    async def close(self) -> None:
        """Disconnect. May be used again."""
        admin, self._admin = self._admin, None
        if admin is not None:
            await admin.close()
