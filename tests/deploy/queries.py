"""The queries that are deployed, and the metrics that they may ask for."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, ProcessCollector

from service.telemetry.ingest_metrics import IngestMetrics
from service.telemetry.metrics import Metrics
from tests.deploy.promtool import FILES, rules

ROOT = Path(__file__).parents[2]
BOARD = ROOT / "deploy" / "grafana" / "dashboards" / "reelwire.json"

TARGET = frozenset({"instance", "job", "namespace", "pod"})
"""Labels that Prometheus gives to every series."""

FOREIGN = {"up": (), "ALERTS": ("alertname", "alertstate", "severity")}


def catalogue() -> dict[str, tuple[str, ...]]:
    """Every series there is, with its labels: what `/metrics` shows, what is recorded, what Prometheus adds."""
    found: dict[str, tuple[str, ...]] = dict(FOREIGN)
    whole = Metrics()
    for metric in (*vars(whole).values(), *vars(IngestMetrics(whole.registry)).values()):
        if isinstance(metric, CollectorRegistry):
            continue
        labels, [family] = metric._labelnames, list(metric.describe())
        suffixes = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"]}.get(family.type, [""])
        found |= {family.name + suffix: (*labels, "le") if suffix == "_bucket" else labels for suffix in suffixes}
    process = CollectorRegistry()
    ProcessCollector(registry=process)
    found |= {sample.name: () for family in process.collect() for sample in family.samples}
    return found | {rule["record"]: () for rule in rules("slo.yaml")}


def board() -> dict[str, Any]:
    """The dashboard."""
    content: dict[str, Any] = json.loads(BOARD.read_text(encoding="utf-8"))
    return content


def expressions() -> list[str]:
    """Every query of rules, dashboard and chart."""
    found = [rule["expr"] for name in FILES for rule in rules(name)]
    found += [target["expr"] for panel in board()["panels"] for target in panel.get("targets", [])]
    return found + [annotation["expr"] for annotation in board()["annotations"]["list"]]


def mistakes(expression: str, known: dict[str, tuple[str, ...]]) -> list[str]:
    """Names and labels of a query that do not exist. A label must be one of the very metric it selects of."""
    found: list[str] = []
    bare = re.sub(r"\[[^\]]*\]", "", expression)
    selectors = re.findall(r"([a-zA-Z_:][\w:]*)\s*(?:\{((?:[^}\"]|\"[^\"]*\")*)\})?", re.sub(r'"[^"]*"', '""', bare))
    names = [(name, labels) for name, labels in selectors if name in known or re.match(r"reelwire|process_", name)]
    if not names:
        found.append("asks for nothing of ours")
    for name, labels in names:
        if name not in known:
            found.append(f"there is no metric {name}")
            continue
        found += [
            f"{name} has no label {label}"
            for label in re.findall(r"(\w+)\s*(?:=~|!=|!~|=)", labels)
            if label not in TARGET | set(known[name])
        ]
    every = TARGET | {label for name, _ in names for label in known.get(name, ())}
    grouped = re.findall(r"\b(?:by|without|on|ignoring)\s*\(([^)]*)\)", bare)
    wanted = {label.strip() for labels in grouped for label in labels.split(",") if label.strip()}
    return found + [f"nothing here has the label {label}" for label in sorted(wanted - every)]
