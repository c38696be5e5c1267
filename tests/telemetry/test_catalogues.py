"""Every metric and every log event says what it is."""

import re

import pytest
from prometheus_client import CollectorRegistry

from service.cli.reference import log_events_page, metrics_page
from service.telemetry.events import LogEvent
from service.telemetry.metrics import Metrics

pytestmark = pytest.mark.unit

METRICS = [family for metric in vars(Metrics()).values() if not isinstance(metric, CollectorRegistry)
           for family in metric.describe()]  # fmt: skip


@pytest.mark.parametrize("event", LogEvent)
def test_a_log_event_has_a_text(event: LogEvent) -> None:
    row = re.search(rf"^\| `{event}` \| (.*) \|$", log_events_page(), re.MULTILINE)

    assert row is not None
    assert len(row.group(1).split()) >= 3


@pytest.mark.parametrize("family", METRICS, ids=lambda family: str(family.name))
def test_a_metric_has_a_text_and_its_unit_in_its_name(family: object) -> None:
    name, text = family.name, family.documentation  # type: ignore[attr-defined]
    assert len(text.split()) >= 3
    assert f"`{name}" in metrics_page()
    assert name.startswith("reelwire_")
    unit = "Unix time" if name.endswith("_timestamp_seconds") else "Seconds"
    assert text.startswith(unit) == name.endswith("_seconds")


BILLED = {"reelwire_billed_minutes", "reelwire_tenant_billed_minutes"}  # what the platform bills is whole minutes


def test_times_and_sizes_have_base_units() -> None:
    derived = ("_ms", "_minutes", "_hours", "_kib", "_mib", "_kb", "_mb", "_percent")
    names = [metric.name for metric in Metrics().registry.collect()]
    assert len(names) > 20
    assert {name for name in names if name.endswith(derived)} == BILLED


def test_jobs_of_fifty_and_of_seventy_minutes_are_told_apart_from_one_of_an_hour() -> None:
    metrics = Metrics()
    for minutes in (50, 60, 70):
        metrics.job_seconds.labels("stream").observe(minutes * 60)

    counts = [
        metrics.registry.get_sample_value("reelwire_job_seconds_bucket", {"mode": "stream", "le": le})
        for le in ("2700.0", "3600.0", "4500.0", "5400.0")
    ]
    assert counts == [0, 2, 3, 3]
