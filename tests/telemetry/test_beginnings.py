"""What alerts count with is there before the first event: otherwise the first one goes unseen."""

from __future__ import annotations

import re
from typing import get_args

import pytest

from service.kafka.takeover.input_position import Lapse
from service.settings import KafkaSettings
from service.telemetry.beginnings import ANSWERS_TO_LAPSES, LAPSES, NOT_THEIR_OWN, begin_at_zero
from service.telemetry.metrics import Metrics
from tests.deploy.promtool import rules

pytestmark = pytest.mark.unit

BY_SUPERVISION = "reelwire_background_task_failures_total"
COUNTED = sorted(
    {
        found
        for rule in (*rules("alerts.yaml"), *rules("slo.yaml"))
        for found in re.findall(r'(?:increase|rate)\((reelwire_\w+_total)(?:\{((?:[^}"]|"[^"]*")*)\})?', rule["expr"])
        if found[0] not in {BY_SUPERVISION, "reelwire_platform_calls_total"}  # of the calls a share is watched
    }
)


@pytest.mark.parametrize(("name", "selector"), COUNTED)
def test_every_series_that_an_alert_counts_begins_at_zero(name: str, selector: str) -> None:
    metrics = Metrics()
    begin_at_zero(metrics)
    wanted = re.findall(r'(\w+)(=~|!=|=)"([^"]*)"', selector)
    samples = [sample for family in metrics.registry.collect() for sample in family.samples if sample.name == name]

    for label, operator, value in wanted:
        values = {sample.labels[label] for sample in samples}
        assert operator == "!=" or set(value.split("|")) <= values
    assert samples
    assert {sample.value for sample in samples} == {0}


def test_the_names_are_those_of_their_owners() -> None:
    resets = set(get_args(KafkaSettings.model_fields["offset_reset"].annotation))

    assert set(LAPSES) == set(Lapse)
    assert set(ANSWERS_TO_LAPSES) == (resets - {"stop"}) | {"held"}


def test_the_budget_of_answers_counts_the_same_errors() -> None:
    [rule] = [rule for rule in rules("slo.yaml") if rule["record"] == "reelwire:answers_failed:rate5m"]
    counted = re.search(r'code=~"([^"]*)"', rule["expr"])

    assert counted is not None
    assert counted[1].split("|") == [code.value for code in NOT_THEIR_OWN]
