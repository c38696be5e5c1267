"""Which topics there are: each with its id and its partitions. A topic that is deleted and made anew has another id."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from aiokafka.errors import for_code
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.metadata import MetadataRequest
from aiokafka.protocol.types import Boolean, CompactArray, CompactString, Int16, Int32, Int64, Schema, TaggedFields

_GONE = frozenset({3})  # unknown topic or partition
_NO_LEADER_YET = frozenset({5})  # leader not available
_MAKE_NONE = (False, False, False)
"""Make no topics; tell nothing of what we may do with the cluster and with the topics."""
_TAGS = ("tags", TaggedFields)


class TopicIdsResponse(Response):  # type: ignore[misc]
    """Metadata, version 10, the first with ids of topics: the answer."""

    API_KEY = 3
    API_VERSION = 10
    FLEXIBLE_VERSION = True
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "brokers",
            CompactArray(
                ("node_id", Int32),
                ("host", CompactString("utf-8")),
                ("port", Int32),
                ("rack", CompactString("utf-8")),
                _TAGS,
            ),
        ),
        ("cluster_id", CompactString("utf-8")),
        ("controller_id", Int32),
        (
            "topics",
            CompactArray(
                ("error_code", Int16),
                ("topic", CompactString("utf-8")),
                ("id_high", Int64),
                ("id_low", Int64),
                ("is_internal", Boolean),
                (
                    "partitions",
                    CompactArray(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", CompactArray(Int32)),
                        ("isr", CompactArray(Int32)),
                        ("offline_replicas", CompactArray(Int32)),
                        _TAGS,
                    ),
                ),
                ("operations", Int32),
                _TAGS,
            ),
        ),
        ("cluster_operations", Int32),
        _TAGS,
    )


class TopicIdsStruct(RequestStruct):  # type: ignore[misc]
    """Metadata, version 10: the request as it is encoded."""

    API_KEY = 3
    API_VERSION = 10
    FLEXIBLE_VERSION = True
    RESPONSE_TYPE = TopicIdsResponse
    SCHEMA = Schema(
        (
            "topics",
            CompactArray(("id_high", Int64), ("id_low", Int64), ("topic", CompactString("utf-8")), _TAGS),
        ),
        ("make_missing", Boolean),
        ("cluster_operations", Boolean),
        ("topic_operations", Boolean),
        _TAGS,
    )


class TopicIdsRequest(Request[TopicIdsStruct]):  # type: ignore[misc]
    """What there is of these topics. Makes none."""

    API_KEY = 3

    def __init__(self, topics: Iterable[str]) -> None:
        self._topics = list(topics)

    def build(self, request_struct_class: type[TopicIdsStruct]) -> TopicIdsStruct:
        return request_struct_class([(0, 0, name, {}) for name in self._topics], *_MAKE_NONE, {})


@dataclass(frozen=True, slots=True)
class TopicIdentity:
    """What a broker says of a topic. `id`: None where brokers before Kafka 2.8 give topics none."""

    id: tuple[int, int] | None
    partitions: int


async def identities(client: Any, names: Iterable[str]) -> dict[str, TopicIdentity]:
    """Those of the topics that exist. `client` is a started client of aiokafka.

    Raises `KafkaError`, also when a topic may not be described.
    """
    wanted = list(names)
    node = client.get_random_node()
    try:
        answer = await client.send(node, TopicIdsRequest(wanted))
    except NotImplementedError:  # the broker does not know this version
        answer = await client.send(node, MetadataRequest(wanted))
    found: dict[str, TopicIdentity] = {}
    for topic in answer.to_object()["topics"]:
        if topic["error_code"] in _GONE:
            continue
        if topic["error_code"] not in (0, *_NO_LEADER_YET):
            raise for_code(topic["error_code"])()
        given = (topic["id_high"], topic["id_low"]) if "id_high" in topic else (0, 0)
        found[topic["topic"]] = TopicIdentity(given if any(given) else None, len(topic["partitions"]))
    return found
