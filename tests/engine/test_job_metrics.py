"""What the end of a job adds to the metrics."""

from __future__ import annotations

import pytest

from service.domain.change import Event
from service.domain.job import Job, Mode
from service.engine.job.job_metrics import count_ended
from service.telemetry.metrics import Metrics

pytestmark = pytest.mark.unit


def ended(metrics: Metrics, *, seconds: float, first: float | None) -> None:
    job = Job(
        request_id="a",
        partition=0,
        offset=0,
        key=b"k",
        digest="",
        body=b"{}",
        received_ms=0,
        accepted_ms=0,
        mode=Mode.STREAM,
    )
    members = {
        "timings": {"first_fragment": first},
        "usage": {"billed_minutes": 2, "output_tokens": 7, "estimated_cost": None},
    }
    count_ended(metrics, job, Event("completed", members), int(seconds * 1000), "none")


def sample(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, labels)


def test_the_time_of_the_first_fragment_is_counted_where_there_was_one() -> None:
    metrics = Metrics()
    ended(metrics, seconds=5, first=0.6)
    ended(metrics, seconds=5, first=None)

    assert sample(metrics, "reelwire_first_fragment_seconds_count") == 1
    assert sample(metrics, "reelwire_first_fragment_seconds_sum") == 0.6


def test_jobs_of_fifty_and_of_seventy_minutes_are_told_apart_from_one_of_an_hour() -> None:
    metrics = Metrics()
    for minutes in (50, 60, 70):
        ended(metrics, seconds=minutes * 60, first=None)

    counts = [
        sample(metrics, "reelwire_job_seconds_bucket", mode="stream", le=le)
        for le in ("2700.0", "3600.0", "4500.0", "5400.0")
    ]
    assert counts == [0, 2, 3, 3]


def test_what_is_billed_is_counted_in_seconds() -> None:
    metrics = Metrics()
    ended(metrics, seconds=5, first=None)

    assert sample(metrics, "reelwire_billed_seconds_total", mode="stream") == 120
