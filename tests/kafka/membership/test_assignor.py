"""Who gets a partition that two members claim."""

from __future__ import annotations

from typing import Any

from aiokafka import TopicPartition
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment, ConsumerProtocolMemberMetadata

from service.kafka.membership.assignor import private_sticky_assignor
from service.kafka.other_clients.topic_names import TopicNames
from service.settings import TopicSettings

TOPIC = "requests"
NAMES = TopicNames.of(TopicSettings(requests=TOPIC))


class _Cluster:
    def topics(self) -> set[str]:
        return {TOPIC}

    def partitions_for_topic(self, topic: str) -> set[int]:
        return {0, 1}


def _member(generation: int, *partitions: int) -> Any:
    """What a member says that was given these partitions in that generation; of none, when it is new."""
    assignor = private_sticky_assignor(NAMES)
    if partitions:
        assignor.on_assignment(ConsumerProtocolMemberAssignment(0, [(TOPIC, list(partitions))], b""))
        assignor.on_generation_assignment(generation)
    metadata = assignor.metadata([TOPIC])
    return ConsumerProtocolMemberMetadata.decode(metadata.encode())


def _assigned(members: dict[str, Any]) -> dict[str, set[int]]:
    found = private_sticky_assignor(NAMES).assign(_Cluster(), members)
    return {
        name: {where.partition for where in assignment.partitions() if isinstance(where, TopicPartition)}
        for name, assignment in found.items()
    }


def test_partitions_stay_where_they_are_when_a_member_comes() -> None:
    assert _assigned({"a": _member(1, 0), "b": _member(1, 1), "c": _member(-1)}) == {"a": {0}, "b": {1}, "c": set()}


def test_a_member_that_was_away_does_not_take_its_partitions_back_from_the_heir() -> None:
    # Both claim partition 1: the one of an earlier generation was frozen meanwhile.
    assert _assigned({"away": _member(3, 1), "heir": _member(4, 1), "other": _member(4, 0)}) == {
        "away": set(),
        "heir": {1},
        "other": {0},
    }
    assert _assigned({"heir": _member(4, 1), "away": _member(3, 1), "other": _member(4, 0)})["heir"] == {1}


def test_two_consumers_of_one_process_do_not_share_what_they_were_given() -> None:
    first, second = private_sticky_assignor(NAMES), private_sticky_assignor(NAMES)
    first.on_assignment(ConsumerProtocolMemberAssignment(0, [(TOPIC, [0])], b""))
    first.on_generation_assignment(7)

    assert second.member_assignment is None
    assert second.generation == -1


def test_the_topic_names_are_told_by_a_new_member_and_by_one_with_partitions() -> None:
    for member in (_member(-1), _member(3, 0, 1)):
        assert TopicNames.found_in(member.user_data) == NAMES


def test_a_member_of_another_program_tells_no_topic_names() -> None:
    for user_data in (b"", b"\x00\x00", b"\x00reelwire-topics/1\x00{", b"\x00reelwire-topics/1\x00[1]"):
        assert TopicNames.found_in(user_data) is None


def test_members_of_an_earlier_version_keep_their_partitions_in_the_same_group() -> None:
    older = _member(1, 0)
    older.user_data = older.user_data.partition(b"\x00reelwire")[0]
    assert _assigned({"older": older, "newer": _member(1, 1)}) == {"older": {0}, "newer": {1}}
