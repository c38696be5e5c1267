"""Who gets a partition that two members claim."""

from __future__ import annotations

from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment, ConsumerProtocolMemberMetadata

from service.kafka.membership.assignor import private_sticky_assignor
from service.kafka.other_clients.topic_names import TopicNames
from service.settings import TopicSettings

TOPIC = "requests"
NAMES = TopicNames.of(TopicSettings(requests=TOPIC))


class _Cluster:
    def __init__(self, partitions: int) -> None:
        self._partitions = set(range(partitions))

    def topics(self) -> set[str]:
        return {TOPIC}

    def partitions_for_topic(self, topic: str) -> set[int]:
        return self._partitions


def _member(generation: int, *partitions: int) -> Any:
    """What a member says that was given these partitions in that generation; of none, when it is new."""
    assignor = private_sticky_assignor(NAMES)
    if partitions:
        assignor.on_assignment(ConsumerProtocolMemberAssignment(0, [(TOPIC, list(partitions))], b""))
        assignor.on_generation_assignment(generation)
    metadata = assignor.metadata([TOPIC])
    return ConsumerProtocolMemberMetadata.decode(metadata.encode())


def _assigned(members: dict[str, Any], *, partitions: int = 2) -> dict[str, set[int]]:
    found = private_sticky_assignor(NAMES).assign(_Cluster(partitions), members)
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


class _Group:
    """A group over 12 partitions whose members remember what they were given."""

    def __init__(self) -> None:
        self.generation = 0
        self.given: dict[str, set[int]] = {}

    def rebalance(self, *names: str) -> int:
        """Assign anew among these members; returns how many partitions have moved from one of them to another."""
        members = {name: _member(self.generation, *self.given.get(name, ())) for name in names}
        self.generation += 1
        before, self.given = self.given, _assigned(members, partitions=12)
        owner = {partition: name for name, partitions in before.items() for partition in partitions}
        return sum(
            owner.get(partition, name) != name for name, partitions in self.given.items() for partition in partitions
        )


@pytest.mark.parametrize("count", [2, 3, 4, 6])
def test_an_orderly_restart_moves_the_share_of_one_member_twice_and_nothing_else(count: int) -> None:
    group, names = _Group(), [f"m{number}" for number in range(count)]
    group.rebalance(*names)
    for restart in range(10):
        leaving = names.pop(0)
        share = len(group.given[leaving])
        assert group.rebalance(*names) == share, "others keep what they have"
        names.append(f"n{restart}")
        moved = group.rebalance(*names)
        assert moved == len(group.given[names[-1]]) == 12 // count, "the new one takes its share, and only that"


def test_scaling_out_and_in_moves_no_more_than_it_must() -> None:
    group = _Group()
    group.rebalance("a")
    assert [group.rebalance(*"abcd"[:size]) for size in (2, 3, 4)] == [6, 4, 3]
    assert [group.rebalance(*"abcd"[:size]) for size in (3, 2, 1)] == [3, 4, 6]
