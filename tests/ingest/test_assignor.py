"""One member has every partition: the one that works already, else the first by its name."""

from __future__ import annotations

import pytest
from aiokafka.coordinator.protocol import ConsumerProtocolMemberMetadata

from service.ingest.log.assignor import OneActive, one_active

pytestmark = pytest.mark.unit


class _Cluster:
    def partitions_for_topic(self, topic: str) -> set[int] | None:
        return {"events": {0, 1, 2}}.get(topic)


def _member(*, working: bool, topics: tuple[str, ...] = ("events",)) -> ConsumerProtocolMemberMetadata:
    assignor = one_active()
    assignor.working = working
    return assignor.metadata(topics)


def _shares(**members: ConsumerProtocolMemberMetadata) -> dict[str, int]:
    given = OneActive.assign(_Cluster(), members)
    return {member: len(share.partitions()) for member, share in given.items()}


def test_the_one_that_works_keeps_everything() -> None:
    assert _shares(a=_member(working=False), b=_member(working=True)) == {"a": 0, "b": 3}


def test_at_first_one_is_chosen_and_of_two_that_think_so_too() -> None:
    assert _shares(b=_member(working=False), a=_member(working=False)) == {"a": 3, "b": 0}
    assert _shares(b=_member(working=True), a=_member(working=True)) == {"a": 3, "b": 0}


def test_a_topic_that_is_not_there_has_no_partitions() -> None:
    assert _shares(a=_member(working=False, topics=("events", "gone"))) == {"a": 3}


def test_two_consumers_of_one_process_do_not_share_what_they_tell() -> None:
    one, other = one_active(), one_active()
    one.working = True

    assert other.metadata(["events"]).user_data != one.metadata(["events"]).user_data
