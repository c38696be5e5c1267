from __future__ import annotations

from dataclasses import replace

import pytest

from contracts.topics import Role
from service.kafka.topics.plan import Finding, TopicState, findings, limits_of, plan_topics
from service.settings import AssetSettings, CostSettings, JobSettings, Settings, TopicSettings, load_settings

pytestmark = pytest.mark.unit

HOUR_MS = 3_600_000


@pytest.fixture
def settings() -> Settings:
    return load_settings(
        topics=TopicSettings(partitions=3, retention_hours=200),
        jobs=JobSettings(dedup_hours=100),
        assets=AssetSettings(reuse_hours=50),
    )


def as_planned(settings: Settings) -> dict[str, TopicState]:
    return {plan.name: TopicState(plan.name, plan.partitions, plan.configs) for plan in plan_topics(settings)}


def found(settings: Settings, states: dict[str, TopicState]) -> list[Finding]:
    return findings(plan_topics(settings), states, settings.topics.requests)


def with_config(settings: Settings, topic: str, name: str, value: str) -> dict[str, TopicState]:
    states = as_planned(settings)
    states[topic] = replace(states[topic], configs={**(states[topic].configs or {}), name: value})
    return states


def test_each_topic_is_kept_as_long_as_its_purpose_needs(settings: Settings) -> None:
    plans = {plan.topic.role.value: plan.configs for plan in plan_topics(settings)}
    assert plans["completions"]["retention.ms"] == str(200 * HOUR_MS)
    assert plans["finished"]["retention.ms"] == str(100 * HOUR_MS)
    assert plans["assets"]["retention.ms"] == str(50 * HOUR_MS)
    assert plans["dead_letters"]["retention.ms"] == str(90 * 24 * HOUR_MS)
    assert "retention.ms" not in plans["jobs"]
    assert plans["jobs"]["cleanup.policy"] == "compact"
    assert plans["assets"]["cleanup.policy"] == "compact,delete"


def test_topics_that_hold_a_whole_request_or_result_take_64_kib_more_than_a_request_and_nothing_asks_above_8_mib(
    settings: Settings,
) -> None:
    limits = {plan.topic.role.value: plan.max_message_bytes for plan in plan_topics(settings)}
    requests = limits.pop("requests")
    assert requests == settings.kafka.max_message_bytes
    assert limits["dead_letters"] == limits["completions"] == limits["jobs"] == requests + 64 * 1024 == 8 * 1024 * 1024
    assert limits["fragments"] == limits["finished"] == 1_048_588


@pytest.mark.parametrize("asked", [8 * 1024 * 1024, 50_000_000])
def test_topics_create_never_asks_for_more_than_managed_clusters_allow(asked: int) -> None:
    kafka = load_settings().kafka.model_copy(update={"max_message_bytes": asked})
    assert all(plan.max_message_bytes <= 8 * 1024 * 1024 for plan in plan_topics(load_settings(kafka=kafka)))


def test_topics_as_planned_give_no_finding(settings: Settings) -> None:
    assert found(settings, as_planned(settings)) == []


def test_a_missing_topic_is_an_error_that_names_the_command(settings: Settings) -> None:
    states = as_planned(settings)
    del states[settings.topics.jobs]
    (finding,) = found(settings, states)
    assert (finding.severity, finding.topic) == ("error", settings.topics.jobs)
    assert "reelwire topics create" in finding.advice


@pytest.mark.parametrize(("partitions", "advice"), [(2, "add partitions"), (4, "can't be removed")])
def test_a_partition_count_that_disagrees_with_the_requests_is_an_error(
    settings: Settings, partitions: int, advice: str
) -> None:
    states = as_planned(settings)
    states[settings.topics.jobs] = replace(states[settings.topics.jobs], partitions=partitions)
    (finding,) = found(settings, states)
    assert finding.severity == "error"
    assert finding.problem == f"{partitions} partitions, but {settings.topics.requests} has 3"
    assert advice in finding.advice


def test_the_assets_topic_may_have_any_number_of_partitions(settings: Settings) -> None:
    states = as_planned(settings)
    states[settings.topics.assets] = replace(states[settings.topics.assets], partitions=1)
    assert found(settings, states) == []


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("limit", ["1000000", "100"])
def test_a_topic_that_takes_less_than_planned_is_a_warning_that_says_what_follows(
    settings: Settings, role: Role, limit: str
) -> None:
    name = getattr(settings.topics, role.value)
    (finding,) = found(settings, with_config(settings, name, "max.message.bytes", limit))
    assert (finding.severity, finding.topic) == ("warning", name)
    assert finding.problem.startswith(f"max.message.bytes is {limit}, less than ")
    assert ": " in finding.problem


def test_a_brokers_default_limit_everywhere_is_enough_to_start(settings: Settings) -> None:
    states = {
        name: replace(state, configs={**(state.configs or {}), "max.message.bytes": "1048588"})
        for name, state in as_planned(settings).items()
    }
    severities = {finding.topic: finding.severity for finding in found(settings, states)}
    topics = settings.topics
    assert severities == dict.fromkeys(
        (topics.requests, topics.completions, topics.dead_letters, topics.jobs), "warning"
    )


def test_a_requests_topic_whose_records_would_not_fit_the_dead_letters_is_a_warning(settings: Settings) -> None:
    (finding,) = found(settings, with_config(settings, settings.topics.requests, "max.message.bytes", "99000000"))
    assert (finding.severity, finding.topic) == ("warning", settings.topics.dead_letters)
    assert "without its value" in finding.problem


def test_a_configuration_that_may_not_be_read_is_a_warning_that_names_the_right(settings: Settings) -> None:
    states = as_planned(settings)
    states[settings.topics.jobs] = replace(states[settings.topics.jobs], configs=None)
    (finding,) = found(settings, states)
    assert (finding.severity, finding.topic) == ("warning", settings.topics.jobs)
    assert "DESCRIBE_CONFIGS" in finding.advice
    assert settings.topics.jobs not in limits_of(states)


def test_limits_are_the_clusters_and_a_little_lower_where_the_topic_compresses_by_itself(settings: Settings) -> None:
    topic = settings.topics.completions
    states = with_config(settings, topic, "max.message.bytes", "2000000")
    assert limits_of(states)[topic] == 2_000_000
    states[topic] = replace(states[topic], configs={**(states[topic].configs or {}), "compression.type": "gzip"})
    assert 1_900_000 < limits_of(states)[topic] < 2_000_000


def test_compaction_where_events_are_and_deletion_where_jobs_are_are_errors(settings: Settings) -> None:
    for topic, policy in ((settings.topics.completions, "compact"), (settings.topics.jobs, "delete")):
        (finding,) = found(settings, with_config(settings, topic, "cleanup.policy", policy))
        assert finding.severity == "error"
        assert policy in finding.problem


def test_the_order_of_two_policies_does_not_matter(settings: Settings) -> None:
    assert found(settings, with_config(settings, settings.topics.assets, "cleanup.policy", "delete,compact")) == []


def test_a_shorter_retention_is_a_warning_and_an_endless_one_is_fine(settings: Settings) -> None:
    (finding,) = found(settings, with_config(settings, settings.topics.finished, "retention.ms", "1000"))
    assert finding.severity == "warning"
    assert found(settings, with_config(settings, settings.topics.finished, "retention.ms", "-1")) == []


def test_a_ledger_that_forgets_what_was_reserved_is_an_error_where_spending_is_limited(settings: Settings) -> None:
    name = settings.topics.ledger
    assert found(settings, with_config(settings, name, "min.compaction.lag.ms", "600000")) == []
    limited = settings.model_copy(update={"cost": CostSettings(per_minute=1, daily_limit=1)})
    [finding] = found(limited, with_config(limited, name, "min.compaction.lag.ms", "600000"))
    assert finding.severity == "error"
    assert "min.compaction.lag.ms=172800000" in finding.advice


def test_a_ledger_with_the_times_of_its_writers_is_a_warning_and_an_error_where_spending_is_limited(
    settings: Settings,
) -> None:
    name = settings.topics.ledger
    limited = settings.model_copy(update={"cost": CostSettings(per_minute=1, daily_limit=1)})
    for one, severity in ((settings, "warning"), (limited, "error")):
        [finding] = found(one, with_config(one, name, "message.timestamp.type", "CreateTime"))
        assert finding.severity == severity
        assert "message.timestamp.type=LogAppendTime" in finding.advice


@pytest.mark.parametrize("count", [2, 12])
def test_another_number_of_partitions_than_was_chosen_keeps_nothing_from_starting_and_is_told_with_the_setting(
    settings: Settings, count: int
) -> None:
    states = {name: replace(state, partitions=count) for name, state in as_planned(settings).items()}
    (warning,) = found(settings, states)
    assert (warning.severity, warning.topic) == ("warning", settings.topics.requests)
    assert warning.problem == f"{count} partitions, but REELWIRE_TOPICS__PARTITIONS is 3"
    assert f"REELWIRE_TOPICS__PARTITIONS={count}" in warning.advice


def test_topics_may_have_another_number_than_the_default(settings: Settings) -> None:
    default = load_settings()
    states = {name: replace(state, partitions=12) for name, state in as_planned(default).items()}
    assert found(default, states) == []
