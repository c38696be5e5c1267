"""The metrics of `reelwire ingest`, a part of the catalogue that only this command serves."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge
from prometheus_client.metrics import MetricWrapperBase

from service.telemetry.metrics import Metrics

OUTCOMES = ("sent", "duplicate", "superseded", "unmatched", "other", "empty", "rejected")

SHARED = (
    "dead_letters",
    "transactions",
    "task_failures",
    "http_connections",
    "http_connections_ended",
    "loop_lag_seconds",
)
"""Of the catalogue of the service, what `reelwire ingest` counts too."""


def show_shared_only(metrics: Metrics) -> None:
    """Take the rest out of what is served. A gauge that nobody sets is 0, and an alert takes that for an outage.

    `reelwire_info` goes as well: by it an alert sees whether any process of the service is there.
    """
    for name, metric in vars(metrics).items():
        if isinstance(metric, MetricWrapperBase) and name not in SHARED:
            metrics.registry.unregister(metric)


class IngestMetrics:
    """One per process of `reelwire ingest`, in the registry of its `Metrics`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.notifications = Counter(
            "reelwire_ingest_notifications_total",
            "Events that were read, files too: `sent`, `duplicate`, `superseded` by a later state of the object, "
            "`unmatched` by any rule, `other` (a deletion, a test), `empty` (no bytes), `rejected`",
            ["outcome"],
            registry=registry,
        )
        self.requests = Counter(
            "reelwire_ingest_requests_total",
            "Requests sent to the requests topic, by rule",
            ["rule"],
            registry=registry,
        )
        self.webhooks = Counter(
            "reelwire_ingest_webhooks_total",
            "Notifications over HTTP: `taken`, `handshake`, or why they were refused",
            ["outcome"],
            registry=registry,
        )
        self.active = Gauge(
            "reelwire_ingest_active", "1 while this process sends the requests, 0 while it stands by", registry=registry
        )
        self.remembered = Gauge(
            "reelwire_ingest_remembered", "Requests that are remembered, so that none is sent twice", registry=registry
        )
        self.files = Gauge(
            "reelwire_ingest_files",
            "Files of the watched folder: `waiting` until they stand still, `done`, not sent for an `unusable_name`",
            ["state"],
            registry=registry,
        )
        for outcome in OUTCOMES:
            self.notifications.labels(outcome)
