"""What `reelwire ingest` serves: what it sets itself, and nothing that an alert would take for the service."""

from __future__ import annotations

import re

import pytest

from service.telemetry.ingest_metrics import SHARED, IngestMetrics, show_shared_only
from service.telemetry.metrics import Metrics
from tests.deploy.promtool import rules

pytestmark = pytest.mark.unit

MEANT = {
    "reelwire_dead_letters",
    "reelwire_transactions",
    "reelwire_background_task_failures",
    "reelwire_loop_lag_seconds",
}
"""What alerts say of a process of ingest as well: its letters, transactions, tasks and event loop."""


def _served() -> set[str]:
    metrics = Metrics()
    IngestMetrics(metrics.registry)
    show_shared_only(metrics)
    return {family.name for family in metrics.registry.collect()}


def test_the_metrics_of_the_service_that_nobody_sets_are_not_served() -> None:
    own = {name for name in _served() if name.startswith("reelwire_ingest_")}
    assert len(own) == 6
    assert len(_served() - own) == len(SHARED)
    assert "reelwire_broker_reachable" not in _served()


def test_no_alert_about_the_service_is_raised_or_silenced_by_ingest() -> None:
    asked = {name for rule in rules("alerts.yaml") for name in re.findall(r"reelwire_\w+", rule["expr"])}
    assert {"reelwire_info", "reelwire_broker_reachable"} <= asked
    about_the_service = {name for name in asked if not name.startswith("reelwire_ingest_")}
    assert {name.removesuffix("_total") for name in about_the_service} & _served() == MEANT
