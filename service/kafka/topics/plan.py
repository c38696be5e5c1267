"""What each topic should be like, and where a cluster differs. Pure: the calls to Kafka are in `admin.py`.

What a topic is for, its cleanup policy and whether its partitions must agree is in `contracts/topics.py`; here are
the configurations that follow from the settings.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from contracts.deadletters import ROOM_BYTES
from contracts.topics import TOPICS, Role, Topic
from service.kafka.topics.record_limits import BROKER_DEFAULT_BYTES
from service.settings import Settings

_HOUR_MS = 3_600_000
_DAY_MS = 24 * _HOUR_MS
_MIB = 1024 * 1024

MOST_ASKED_BYTES = 8 * _MIB
"""`reelwire topics create` asks for no larger `max.message.bytes`: managed clusters allow no more."""

_IF_TOO_SMALL = {
    Role.REQUESTS: "a larger request can't be sent",
    Role.FRAGMENTS: "a larger fragment is split into several",
    Role.COMPLETIONS: "a longer result ends as failed, result_too_large",
    Role.PROGRESS: "messages in larger events are cut",
    Role.DEAD_LETTERS: "a larger dead letter is written without its value",
    Role.JOBS: "a larger request goes to the dead letters, too_large",
    Role.FINISHED: "the end of a request may not be noted",
    Role.ASSETS: "an uploaded video may not be noted",
    Role.HANDOVERS: "a result is handed over in more parts",
    Role.LEDGER: "the quota of the account may not be shared out",
}


@dataclass(frozen=True, slots=True)
class TopicPlan:
    """A topic as `reelwire topics create` makes it."""

    name: str
    topic: Topic
    partitions: int
    replication: int
    configs: Mapping[str, str]
    needed: frozenset[str] = frozenset()
    """Configurations without which what the settings promise would not be kept."""
    partitions_chosen: bool = False
    """Whether the number of partitions is somebody's choice, not the default."""

    @property
    def max_message_bytes(self) -> int:
        """The limit that the topic should have at least."""
        return int(self.configs.get("max.message.bytes", BROKER_DEFAULT_BYTES))


@dataclass(frozen=True, slots=True)
class TopicState:
    """A topic as the cluster has it. `configs` None: we may not read its configuration."""

    name: str
    partitions: int
    configs: Mapping[str, str] | None

    @property
    def max_message_bytes(self) -> int:
        """Its limit as far as it is known, else what a broker has by default."""
        return int((self.configs or {}).get("max.message.bytes", BROKER_DEFAULT_BYTES))


@dataclass(frozen=True, slots=True)
class Finding:
    """A difference. An `error` keeps the service from starting; `advice` says what to do."""

    severity: Literal["error", "warning"]
    topic: str
    problem: str
    advice: str

    def __str__(self) -> str:
        return f"{self.topic}: {self.problem}; {self.advice}"


def plan_topics(settings: Settings) -> tuple[TopicPlan, ...]:
    """Every topic of the service, in the order of `contracts/topics.py`."""
    return tuple(_plan(settings, topic) for topic in TOPICS.values())


def findings(
    plans: tuple[TopicPlan, ...],
    states: Mapping[str, TopicState],
    requests: str,
    denied: frozenset[str] = frozenset(),
) -> list[Finding]:
    """Compare the plan with the cluster. What the requests topic (its name is `requests`) has is the measure.

    `denied` are topics that we have no right to see, whether they exist or not.
    """
    found: list[Finding] = []
    measure = states.get(requests)
    for plan in plans:
        state = states.get(plan.name)
        if plan.name in denied:
            problem = f"we may not see it: the right DESCRIBE on topic {plan.name} is missing, a part of READ and WRITE"
            found.append(Finding("error", plan.name, problem, "grant what `reelwire topics acls` prints"))
            continue
        if state is None:
            advice = "run `reelwire topics create`, or set REELWIRE_TOPICS__CREATE=true"
            found.append(Finding("error", plan.name, "the topic does not exist", advice))
            continue
        if plan.topic.same_partitions and measure is not None and state.partitions != measure.partitions:
            problem = f"{state.partitions} partitions, but {requests} has {measure.partitions}"
            found.append(Finding("error", plan.name, problem, _partition_advice(plan, state, measure.partitions)))
        if plan.topic.role is Role.REQUESTS and plan.partitions_chosen and state.partitions != plan.partitions:
            problem = f"{state.partitions} partitions, but REELWIRE_TOPICS__PARTITIONS is {plan.partitions}"
            found.append(Finding("warning", plan.name, problem, _chosen_advice(state)))
        if state.configs is None:
            problem = f"its configuration can't be read, records above {BROKER_DEFAULT_BYTES} bytes are not sent"
            advice = f"grant DESCRIBE_CONFIGS on topic {plan.name}, if you can"
            found.append(Finding("warning", plan.name, problem, advice))
            continue
        found.extend(_policy_findings(plan, state.configs))
        found.extend(_size_findings(plan, state, measure))
        found.extend(_retention_findings(plan, state.configs))
        found.extend(_ledger_findings(plan, state.configs))
    return found


def limits_of(states: Mapping[str, TopicState]) -> dict[str, int]:
    """How many bytes a record of each topic may have, for those whose configuration is known.

    A topic with a codec of its own compresses what it is sent once more and compares the result with its limit; what
    does not compress then grows a little.
    """
    limits: dict[str, int] = {}
    for name, state in states.items():
        if state.configs is None or "max.message.bytes" not in state.configs:
            continue
        limit = state.max_message_bytes
        recompressed = state.configs.get("compression.type", "producer") not in ("producer", "uncompressed")
        limits[name] = limit - limit // 64 if recompressed else limit
    return limits


def _plan(settings: Settings, topic: Topic) -> TopicPlan:
    configs = {"cleanup.policy": topic.cleanup_policy.value, **_own_configs(settings, topic.role)}
    shape = settings.topics
    name, needed = getattr(shape, topic.role.value), frozenset[str]()
    if topic.role is Role.LEDGER and settings.cost.limited:
        needed = frozenset({"min.compaction.lag.ms", "message.timestamp.type"})
    chosen = "partitions" in shape.model_fields_set
    return TopicPlan(name, topic, shape.partitions, shape.replication, configs, needed, chosen)


def _own_configs(settings: Settings, role: Role) -> dict[str, str]:
    asked = settings.kafka.max_message_bytes
    largest = str(min(asked + ROOM_BYTES, MOST_ASKED_BYTES))
    retention = _ms(settings.topics.retention_hours)
    match role:
        case Role.REQUESTS:
            return {"retention.ms": retention, "max.message.bytes": str(min(asked, MOST_ASKED_BYTES))}
        case Role.COMPLETIONS:
            return {"retention.ms": retention, "max.message.bytes": largest}
        case Role.FRAGMENTS | Role.PROGRESS:
            return {"retention.ms": retention}
        case Role.DEAD_LETTERS:
            return {"retention.ms": _ms(settings.topics.dead_letter_retention_hours), "max.message.bytes": largest}
        case Role.JOBS:
            # It holds live jobs only. It is cleaned often, because a takeover reads all of it.
            return {
                "max.message.bytes": largest,
                "segment.bytes": str(max(16 * _MIB, 2 * int(largest))),
                "segment.ms": "600000",
                "min.cleanable.dirty.ratio": "0.05",
                "max.compaction.lag.ms": "900000",
                "delete.retention.ms": "60000",
            }
        case Role.FINISHED:
            return {"retention.ms": _ms(settings.jobs.dedup_hours)}
        case Role.HANDOVERS:
            return {"retention.ms": str(_DAY_MS), "segment.ms": "3600000"}
        case Role.LEDGER:
            # The order of this log is what counts, so is its time: the broker's. What may count today must stay whole.
            return {
                "message.timestamp.type": "LogAppendTime",
                "segment.bytes": str(16 * _MIB),
                "min.compaction.lag.ms": str(2 * _DAY_MS),
                "max.compaction.lag.ms": str(3 * _DAY_MS),
            }
        case Role.ASSETS:
            return {
                "retention.ms": _ms(settings.assets.reuse_hours),
                "segment.ms": "3600000",
                "min.cleanable.dirty.ratio": "0.2",
                "max.compaction.lag.ms": "3600000",
            }


def _policy_findings(plan: TopicPlan, configs: Mapping[str, str]) -> list[Finding]:
    policy, wanted = configs.get("cleanup.policy", "unknown"), plan.topic.cleanup_policy.value
    if _policies(policy) == _policies(wanted):
        return []
    # Compaction loses events that have the same key; deletion loses live jobs.
    problem = f"cleanup.policy is {policy}, not {wanted}"
    return [Finding("error", plan.name, problem, f"set cleanup.policy={wanted} on the topic")]


def _size_findings(plan: TopicPlan, state: TopicState, requests: TopicState | None) -> list[Finding]:
    """The service cuts what it writes to what a topic takes, so no size keeps it from starting."""
    wanted, limit = plan.max_message_bytes, state.max_message_bytes
    if plan.topic.role is Role.DEAD_LETTERS and requests is not None:
        wanted = max(wanted, requests.max_message_bytes + ROOM_BYTES)
    if limit >= wanted:
        return []
    problem = f"max.message.bytes is {limit}, less than {wanted}: {_IF_TOO_SMALL[plan.topic.role]}"
    advice = f"set max.message.bytes={wanted} on the topic if that matters, then restart the service"
    return [Finding("warning", plan.name, problem, advice)]


def _retention_findings(plan: TopicPlan, configs: Mapping[str, str]) -> list[Finding]:
    wanted_ms, has_ms = plan.configs.get("retention.ms"), configs.get("retention.ms")
    if wanted_ms is None or has_ms is None or int(has_ms) < 0 or int(has_ms) >= int(wanted_ms):
        return []
    problem = f"retention.ms is {has_ms}, less than the {wanted_ms} that the settings ask for"
    return [Finding("warning", plan.name, problem, f"set retention.ms={wanted_ms} on the topic")]


def _ledger_findings(plan: TopicPlan, configs: Mapping[str, str]) -> list[Finding]:
    """A ledger made by an earlier version, or by hand, forgets what was reserved, or has the clocks of its writers."""
    if plan.topic.role is not Role.LEDGER:
        return []
    lag, times = "min.compaction.lag.ms", "message.timestamp.type"
    short = lag in plan.needed and int(configs.get(lag, plan.configs[lag])) < int(plan.configs[lag])
    wrong = {
        lag: "what was reserved today may be compacted away, and a limit of spending be exceeded" if short else "",
        times: "its days and minutes are those of the clocks of its writers"
        if configs.get(times, plan.configs[times]) != plan.configs[times]
        else "",
    }
    return [
        Finding(
            "error" if name in plan.needed else "warning",
            plan.name,
            f"{name} is {configs[name]}, not {plan.configs[name]}: {harm}",
            f"set {name}={plan.configs[name]} on the topic",
        )
        for name, harm in wrong.items()
        if harm
    ]


def _partition_advice(plan: TopicPlan, state: TopicState, wanted: int) -> str:
    if state.partitions > wanted:
        return f"partitions can't be removed: give the requests topic {state.partitions}, or recreate {plan.name}"
    return f"add partitions to {plan.name} until it has {wanted}"


def _chosen_advice(state: TopicState) -> str:
    return (
        f"existing topics keep their number: set REELWIRE_TOPICS__PARTITIONS={state.partitions}, or change the topics "
        "as docs/howto/scaling.md says"
    )


def _policies(text: str) -> frozenset[str]:
    return frozenset(part.strip() for part in text.split(",") if part.strip())


def _ms(hours: float) -> str:
    return str(round(hours * _HOUR_MS))
