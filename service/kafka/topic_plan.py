"""What each topic should be like, and where a cluster differs. Pure: the I/O is in `topics.py`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from service.kafka.connection import largest_record_bytes
from service.settings import Settings

_HOUR_MS = 3_600_000
_MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class TopicPlan:
    """A topic as `reelwire topics create` makes it."""

    name: str
    setting: str
    partitions: int
    replication: int
    configs: Mapping[str, str]
    partitions_must_agree: bool = True

    @property
    def max_message_bytes(self) -> int:
        return int(self.configs["max.message.bytes"])


@dataclass(frozen=True, slots=True)
class TopicState:
    """A topic as the cluster has it."""

    name: str
    partitions: int
    configs: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Finding:
    """A difference. An `error` keeps the service from starting; `advice` says what to do."""

    severity: Literal["error", "warning"]
    topic: str
    problem: str
    advice: str


def plan_topics(settings: Settings) -> tuple[TopicPlan, ...]:
    """The eight topics. All but the requests take records that large that a dead letter always fits."""
    names = settings.topics
    written = str(largest_record_bytes(settings.kafka))
    requests = str(settings.kafka.max_message_bytes)
    retention = _ms(names.retention_hours)

    def deleted(name: str, setting: str, retention_ms: str, limit: str = written) -> TopicPlan:
        return _plan(settings, name, setting, {"cleanup.policy": "delete", "retention.ms": retention_ms}, limit)

    return (
        deleted(names.requests, "requests", retention, requests),
        deleted(names.fragments, "fragments", retention),
        deleted(names.completions, "completions", retention),
        deleted(names.progress, "progress", retention),
        deleted(names.dead_letters, "dead_letters", _ms(names.dead_letter_retention_hours)),
        # Live jobs only: cleaned often, because a takeover reads all of it.
        _plan(
            settings,
            names.jobs,
            "jobs",
            {
                "cleanup.policy": "compact",
                "segment.bytes": str(max(16 * _MIB, 2 * int(written))),
                "segment.ms": "600000",
                "min.cleanable.dirty.ratio": "0.05",
                "max.compaction.lag.ms": "900000",
                "delete.retention.ms": "60000",
            },
            written,
        ),
        deleted(names.finished, "finished", _ms(settings.jobs.dedup_hours)),
        _plan(
            settings,
            names.assets,
            "assets",
            {
                "cleanup.policy": "compact,delete",
                "retention.ms": _ms(settings.assets.reuse_hours),
                "segment.ms": "3600000",
                "min.cleanable.dirty.ratio": "0.2",
                "max.compaction.lag.ms": "3600000",
            },
            written,
            must_agree=False,
        ),
    )


def findings(plans: tuple[TopicPlan, ...], states: Mapping[str, TopicState], requests: str) -> list[Finding]:
    """Compare the plan with the cluster. The partitions of the requests topic are the measure for the others."""
    found: list[Finding] = []
    wanted = states[requests].partitions if requests in states else None
    for plan in plans:
        state = states.get(plan.name)
        if state is None:
            advice = "run `reelwire topics create`, or set REELWIRE_TOPICS__CREATE=true"
            found.append(Finding("error", plan.name, "the topic does not exist", advice))
            continue
        if plan.partitions_must_agree and wanted is not None and state.partitions != wanted:
            problem = f"{state.partitions} partitions, but {requests} has {wanted}"
            advice = _partition_advice(plan, state, wanted)
            found.append(Finding("error", plan.name, problem, advice))
        found.extend(_config_findings(plan, state))
    return found


def _config_findings(plan: TopicPlan, state: TopicState) -> list[Finding]:
    found: list[Finding] = []
    policy = state.configs.get("cleanup.policy", "")
    if _policies(policy) != _policies(plan.configs["cleanup.policy"]):
        wanted = plan.configs["cleanup.policy"]
        # Compaction loses events of one key; deletion loses live jobs. Only a longer memory is harmless.
        problem = f"cleanup.policy is {policy or 'unknown'}, not {wanted}"
        found.append(Finding("error", plan.name, problem, f"set cleanup.policy={wanted} on the topic"))
    limit = int(state.configs.get("max.message.bytes", plan.max_message_bytes))
    if limit < plan.max_message_bytes:
        problem = f"max.message.bytes is {limit}, less than {plan.max_message_bytes}"
        advice = (
            f"set max.message.bytes={plan.max_message_bytes} on the topic, or lower REELWIRE_KAFKA__MAX_MESSAGE_BYTES"
        )
        # A requests topic that takes less is only stricter; elsewhere a record of ours would be refused.
        severity: Literal["error", "warning"] = "warning" if plan.setting == "requests" else "error"
        found.append(Finding(severity, plan.name, problem, advice))
    elif plan.setting == "requests" and limit > plan.max_message_bytes:
        problem = (
            f"max.message.bytes is {limit}: a request above {plan.max_message_bytes} would not fit the dead letters"
        )
        advice = (
            f"set REELWIRE_KAFKA__MAX_MESSAGE_BYTES={limit} and enlarge the other topics, or lower the topic's limit"
        )
        found.append(Finding("error", plan.name, problem, advice))
    wanted_ms, has_ms = plan.configs.get("retention.ms"), state.configs.get("retention.ms")
    if wanted_ms is not None and has_ms is not None and 0 <= int(has_ms) < int(wanted_ms):
        problem = f"retention.ms is {has_ms}, less than the {wanted_ms} that the settings ask for"
        found.append(Finding("warning", plan.name, problem, f"set retention.ms={wanted_ms} on the topic"))
    return found


def _partition_advice(plan: TopicPlan, state: TopicState, wanted: int) -> str:
    if state.partitions > wanted:
        return f"partitions can't be removed: give the requests topic {state.partitions}, or recreate {plan.name}"
    return f"add partitions to {plan.name} until it has {wanted}"


def _policies(text: str) -> frozenset[str]:
    return frozenset(part.strip() for part in text.split(",") if part.strip())


def _plan(
    settings: Settings, name: str, setting: str, configs: Mapping[str, str], limit: str, *, must_agree: bool = True
) -> TopicPlan:
    shape = settings.topics
    return TopicPlan(
        name, setting, shape.partitions, shape.replication, {**configs, "max.message.bytes": limit}, must_agree
    )


def _ms(hours: float) -> str:
    return str(round(hours * _HOUR_MS))
