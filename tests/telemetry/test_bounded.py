"""A label that senders choose takes a bounded number of values."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry

from service.telemetry.bounded import MOST_VALUES, NO_TENANT, OTHERS, BoundedCounter

pytestmark = pytest.mark.unit


def _values(counter: BoundedCounter) -> dict[str, float]:
    [family] = counter.collect()
    return {sample.labels["tenant"]: sample.value for sample in family.samples if sample.name.endswith("_total")}


def test_tenants_beyond_the_bound_are_counted_as_one_and_nothing_is_lost() -> None:
    counter = BoundedCounter("minutes_total", "Minutes by tenant", ["tenant"], registry=CollectorRegistry())
    for number in range(MOST_VALUES + 50):
        counter.labels(f"tenant-{number}").inc()
    counter.labels("tenant-0").inc()
    counter.labels(None).inc(3)

    values = _values(counter)

    assert len(values) == MOST_VALUES + 2
    assert values["tenant-0"] == 2
    assert values[OTHERS] == 50
    assert values[NO_TENANT] == 3


def test_the_bound_is_on_the_tenant_alone() -> None:
    counter = BoundedCounter("cost_total", "Cost by tenant", ["tenant", "currency"], registry=CollectorRegistry())
    for number in range(MOST_VALUES + 1):
        counter.labels(f"tenant-{number}", "USD").inc()
    counter.labels("tenant-0", "EUR").inc()

    [family] = counter.collect()
    found = {tuple(sample.labels.values()) for sample in family.samples if sample.name.endswith("_total")}

    assert {("tenant-0", "EUR"), ("tenant-0", "USD"), (OTHERS, "USD")} <= found
    assert len(found) == MOST_VALUES + 2
