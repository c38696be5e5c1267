"""What an operator reads in health when a part of the process is not well."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from service.clock import SystemClock
from service.domain.shares.pauses import Pause, Scope
from service.engine.turns.pauses import PauseGate
from service.health_watch import HealthWatch
from service.kafka.membership.assignment import Assignment
from service.kafka.membership.partition_table import PartitionTable
from service.kafka.partition.runtime import State
from service.ops.health import Health
from service.telemetry.metrics import Metrics

pytestmark = pytest.mark.unit


class Parts:
    """The parts that health looks at, all of them well until a test says otherwise."""

    def __init__(self) -> None:
        self.away: str | None = None
        self.hidden: dict[int, str] = {}
        self.alive = True
        self.table = PartitionTable(Metrics(), Assignment())
        self.table.assignment.given([0, 1])
        self.table.enter(0, State.SERVING)
        self.table.enter(1, State.SERVING)
        self.platform = SimpleNamespace(unauthorized=False)
        self.health = Health()
        ownership = SimpleNamespace(
            table=self.table,
            assignment=self.table.assignment,
            group=SimpleNamespace(reach=SimpleNamespace(away=lambda: self.away)),
            partitions=lambda: dict(self.table.states),
            hidden_input=lambda: self.hidden,
        )
        self.carried: dict[int, int] = {}
        carrier = SimpleNamespace(partitions=lambda: self.carried)
        lease = SimpleNamespace(alive=lambda: self.alive)
        self.watch = HealthWatch(
            self.health, cast(Any, ownership), cast(Any, lease), cast(Any, self.platform), cast(Any, carrier)
        )

    def wrong(self) -> list[str]:
        """The names of the blocking conditions that are not fine."""
        self.watch.look()
        return cast(list[str], self.health.ready().body["wrong"])

    def detail(self, name: str) -> str:
        conditions = cast(dict[str, dict[str, str]], self.health.ready().body["conditions"])
        return conditions[name]["detail"]


@pytest.fixture
def parts() -> Parts:
    return Parts()


def test_when_all_is_well_it_has_started_and_is_ready(parts: Parts) -> None:
    assert parts.wrong() == []
    assert parts.health.ready().ok
    assert parts.health.startup().ok


def test_before_the_group_has_answered_it_has_not_started(parts: Parts) -> None:
    parts.table.assignment.revoked()
    assert parts.wrong() == ["group"]
    assert not parts.health.startup().ok


def test_a_broker_that_is_away_makes_it_unready_and_says_where_it_was_looked_for(parts: Parts) -> None:
    parts.away = "no Kafka broker has answered for 7 s (bootstrap servers: a:9092): refused"
    assert parts.wrong() == ["kafka"]
    assert "a:9092" in parts.detail("kafka")


def test_a_member_without_an_answered_heartbeat_is_not_ready(parts: Parts) -> None:
    parts.alive = False
    assert parts.wrong() == ["group"]
    assert "nothing is sent or paid for" in parts.detail("group")


def test_a_held_partition_is_named_with_what_to_set(parts: Parts) -> None:
    parts.table.enter(1, State.HELD)
    parts.table.notices[1] = "partition 1: set REELWIRE_KAFKA__OFFSET_RESET"
    assert parts.wrong() == ["partitions"]
    assert parts.detail("partitions") == "not served: 1; partition 1: set REELWIRE_KAFKA__OFFSET_RESET"
    assert parts.health.startup().ok, "a restart would not help"


def test_a_partition_that_is_being_taken_over_means_that_the_start_is_not_over(parts: Parts) -> None:
    parts.table.enter(1, State.TAKING_OVER)
    assert parts.wrong() == ["partitions"]
    assert not parts.health.startup().ok


def test_hidden_requests_and_lapsed_offsets_are_shown_and_do_not_make_it_unready(parts: Parts) -> None:
    parts.hidden = {0: "2 offsets from 5 on are hidden by an open transaction of producer 4000"}
    parts.table.notices[0] = "partition 0: the committed offset 50 lies beyond them"
    assert parts.wrong() == []
    assert "partition 0: 2 offsets from 5 on are hidden" in parts.detail("hidden requests")
    assert "lies beyond" in parts.detail("input offsets")


def test_a_refused_key_makes_it_unready(parts: Parts) -> None:
    parts.platform.unauthorized = True
    assert parts.wrong() == ["platform"]


async def test_what_is_paused_is_shown_and_does_not_make_it_unready(parts: Parts) -> None:
    gate = PauseGate(SystemClock(), Metrics())
    parts.watch = HealthWatch(
        parts.health,
        parts.watch._ownership,
        parts.watch._lease,
        parts.watch._platform,
        parts.watch._carrier,
        pauses=gate,
    )
    assert parts.wrong() == []
    assert parts.detail("pauses") == "nothing is paused"
    gate.set([Pause(Scope(tenant="acme"), 1_772_600_400_000), Pause(Scope(intake=True), 0, 4_102_444_800_000)])
    assert parts.wrong() == []
    assert parts.health.ready().ok
    assert parts.detail("pauses") == (
        "work of tenant acme since 2026-03-04T05:00:00.000Z; the intake of requests since 1970-01-01T00:00:00.000Z "
        "until 2100-01-01T00:00:00.000Z"
    )
    gate.close()
