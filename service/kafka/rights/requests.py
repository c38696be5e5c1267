"""Two requests of the Kafka protocol in the version that tells what we may do with a topic or a group."""

from __future__ import annotations

from collections.abc import Sequence

from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Array, Boolean, Bytes, Int16, Int32, Schema, String

_ONLY_TOPICS = (False, False, True)
"""Make no topics; tell nothing about the cluster; tell what we may do with the topics."""
_TELL = (True,)


class TopicRightsResponse(Response):
    """Metadata, version 8: the answer."""

    API_KEY = 3
    API_VERSION = 8
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "brokers",
            Array(("node_id", Int32), ("host", String("utf-8")), ("port", Int32), ("rack", String("utf-8"))),
        ),
        ("cluster_id", String("utf-8")),
        ("controller_id", Int32),
        (
            "topics",
            Array(
                ("error_code", Int16),
                ("topic", String("utf-8")),
                ("is_internal", Boolean),
                (
                    "partitions",
                    Array(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", Array(Int32)),
                        ("isr", Array(Int32)),
                        ("offline_replicas", Array(Int32)),
                    ),
                ),
                ("operations", Int32),
            ),
        ),
        ("cluster_operations", Int32),
    )


class TopicRightsStruct(RequestStruct):
    """Metadata, version 8: the request as it is encoded."""

    API_KEY = 3
    API_VERSION = 8
    RESPONSE_TYPE = TopicRightsResponse
    SCHEMA = Schema(
        ("topics", Array(String("utf-8"))),
        ("allow_auto_topic_creation", Boolean),
        ("include_cluster_operations", Boolean),
        ("include_topic_operations", Boolean),
    )


class TopicRightsRequest(Request[TopicRightsStruct]):
    """What may we do with these topics."""

    API_KEY = 3

    def __init__(self, topics: Sequence[str]) -> None:
        self._topics = list(topics)

    def build(self, request_struct_class: type[TopicRightsStruct]) -> TopicRightsStruct:
        return request_struct_class(self._topics, *_ONLY_TOPICS)


class GroupRightsResponse(Response):
    """DescribeGroups, version 3: the answer."""

    API_KEY = 15
    API_VERSION = 3
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "groups",
            Array(
                ("error_code", Int16),
                ("group", String("utf-8")),
                ("state", String("utf-8")),
                ("protocol_type", String("utf-8")),
                ("protocol", String("utf-8")),
                (
                    "members",
                    Array(
                        ("member_id", String("utf-8")),
                        ("client_id", String("utf-8")),
                        ("client_host", String("utf-8")),
                        ("metadata", Bytes),
                        ("assignment", Bytes),
                    ),
                ),
                ("operations", Int32),
            ),
        ),
    )


class GroupRightsStruct(RequestStruct):
    """DescribeGroups, version 3: the request as it is encoded."""

    API_KEY = 15
    API_VERSION = 3
    RESPONSE_TYPE = GroupRightsResponse
    SCHEMA = Schema(("groups", Array(String("utf-8"))), ("include_operations", Boolean))


class GroupRightsRequest(Request[GroupRightsStruct]):
    """What may we do with a group."""

    API_KEY = 15

    def __init__(self, group: str) -> None:
        self._group = group

    def build(self, request_struct_class: type[GroupRightsStruct]) -> GroupRightsStruct:
        return request_struct_class([self._group], *_TELL)
