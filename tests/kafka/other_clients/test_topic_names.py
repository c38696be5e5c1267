"""The topic names that processes tell each other, across versions that know different topics."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.kafka.other_clients.topic_names import TopicNames
from service.settings import TopicSettings

pytestmark = pytest.mark.unit

FIRST_BEGIN = b"\x00reelwire-topics/1\x00"
FIRST_ROLES = {"requests", "fragments", "completions", "progress", "dead_letters", "jobs", "finished", "assets"}
OWN = TopicSettings(requests="own.requests", handovers="own.handovers")


def first_version_reads(user_data: bytes) -> dict[str, str]:
    """The names as a process of the first version finds them; it refuses a role that it does not know."""
    names: dict[str, str] = orjson.loads(user_data.rpartition(FIRST_BEGIN)[2])
    return names


def first_version_tells(topics: TopicSettings) -> bytes:
    return b"data" + FIRST_BEGIN + orjson.dumps({role: getattr(topics, role) for role in sorted(FIRST_ROLES)})


@given(st.binary(max_size=50))
def test_names_are_found_behind_whatever_the_assignor_has_written(data: bytes) -> None:
    names = TopicNames.of(OWN)
    told = names.behind(data)
    assert told.startswith(data)
    assert TopicNames.found_in(told) == names
    assert names["handovers"] == "own.handovers"


@pytest.mark.parametrize("topics", [TopicSettings(), OWN])
def test_processes_of_the_first_version_and_of_this_one_are_members_of_one_group(topics: TopicSettings) -> None:
    names = TopicNames.of(topics)
    assert first_version_reads(names.behind(b"data")) == {role: getattr(topics, role) for role in FIRST_ROLES}
    theirs = TopicNames.found_in(first_version_tells(topics))
    assert theirs is not None
    assert names.differences(theirs) == theirs.differences(names) == []


@pytest.mark.parametrize("role", sorted(FIRST_ROLES | {"handovers", "ledger"}))
def test_another_name_of_any_topic_is_a_difference(role: str) -> None:
    other = TopicNames.of(OWN.model_copy(update={role: "another"}))
    assert TopicNames.of(OWN).differences(other) == other.differences(TopicNames.of(OWN)) == [role]


def test_a_name_that_the_first_version_should_have_told_is_missed() -> None:
    told = {role: getattr(OWN, role) for role in FIRST_ROLES - {"jobs"}}
    theirs = TopicNames.found_in(FIRST_BEGIN + orjson.dumps(told))
    assert theirs is not None
    assert TopicNames.of(OWN).differences(theirs) == ["jobs"]


@pytest.mark.parametrize("damaged", [b"{", b"[]", b"1", b"null"])
def test_names_that_are_damaged_are_none(damaged: bytes) -> None:
    assert TopicNames.found_in(FIRST_BEGIN + damaged) is None
    whole = TopicNames.of(OWN).behind(b"")
    later = orjson.dumps({"handovers": "own.handovers", "ledger": OWN.ledger})
    assert later in whole
    assert TopicNames.found_in(whole.replace(later, damaged)) is None
