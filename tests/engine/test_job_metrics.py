"""What the end of a job adds to the metrics: waits that users feel, and cost by tenant."""

from __future__ import annotations

from typing import Any

import pytest

from service.domain.change import Event
from service.domain.job import Job, Mode, Phase
from service.engine.job.job_metrics import count_ended
from service.telemetry.metrics import Metrics

pytestmark = pytest.mark.unit

USAGE = {"billed_minutes": 2.5, "output_tokens": 100, "estimated_cost": 0.4, "currency": "USD"}


def _ended(metrics: Metrics, tenant: str, **members: Any) -> None:
    begun = Job("r-1", 0, 0, b"k", "digest", b"{}", received_ms=1_000, accepted_ms=1_020)
    job = begun.but(phase=Phase.ENDED, mode=Mode.STREAM, attempt_started_ms=4_000)
    count_ended(metrics, job, Event("completed", members), 9_000, tenant)


def _value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, labels)


def test_minutes_and_cost_are_counted_by_tenant() -> None:
    metrics = Metrics()

    _ended(metrics, "acme", usage=USAGE)
    _ended(metrics, "acme", usage=USAGE)
    _ended(metrics, "", usage=USAGE | {"estimated_cost": None})

    assert _value(metrics, "reelwire_tenant_billed_minutes_total", tenant="acme") == 5
    assert _value(metrics, "reelwire_tenant_billed_minutes_total", tenant="") == 2.5
    assert _value(metrics, "reelwire_estimated_cost_total", mode="stream", tenant="acme") == 0.8
    assert _value(metrics, "reelwire_estimated_cost_total", mode="stream", tenant="") == 0
    assert _value(metrics, "reelwire_billed_minutes_total", mode="stream") == 7.5


def test_the_first_fragment_is_counted_from_the_request_and_not_from_its_attempt() -> None:
    metrics = Metrics()

    _ended(metrics, "", timings={"first_fragment": 0.5})
    _ended(metrics, "", timings={"first_fragment": None})
    _ended(metrics, "")

    assert _value(metrics, "reelwire_first_fragment_seconds_count") == 1
    assert _value(metrics, "reelwire_first_fragment_seconds_sum") == 3.5
