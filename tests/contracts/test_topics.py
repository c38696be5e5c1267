"""The facts of the topics agree with the settings."""

import pytest

from contracts.topics import PUBLIC_ROLES, TOPICS, CleanupPolicy, Role, WrittenBy
from service.settings import TopicSettings

pytestmark = pytest.mark.unit


def test_every_role_has_a_topic_whose_default_name_is_the_settings_own() -> None:
    settings = TopicSettings()

    assert {role: topic.default_name for role, topic in TOPICS.items()} == {
        role: getattr(settings, role.value) for role in Role
    }


def test_only_the_requests_topic_is_written_by_others() -> None:
    assert [role for role, topic in TOPICS.items() if topic.written_by is WrittenBy.PRODUCERS] == [Role.REQUESTS]


def test_five_topics_are_private() -> None:
    assert set(Role) - set(PUBLIC_ROLES) == {Role.JOBS, Role.FINISHED, Role.ASSETS, Role.HANDOVERS, Role.LEDGER}


def test_state_is_compacted_and_events_are_deleted_with_time() -> None:
    assert TOPICS[Role.JOBS].cleanup_policy is CleanupPolicy.COMPACT
    assert TOPICS[Role.ASSETS].cleanup_policy is CleanupPolicy.COMPACT_AND_DELETE
    assert TOPICS[Role.LEDGER].cleanup_policy is CleanupPolicy.COMPACT
    others = set(Role) - {Role.JOBS, Role.ASSETS, Role.LEDGER}
    assert {TOPICS[role].cleanup_policy for role in others} == {CleanupPolicy.DELETE}


def test_what_is_no_partitions_own_may_have_another_number_of_partitions() -> None:
    assert [role for role, topic in TOPICS.items() if not topic.same_partitions] == [Role.ASSETS, Role.LEDGER]
