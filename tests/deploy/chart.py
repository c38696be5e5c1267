"""The chart, rendered with one of its sets of values by the `helm` on PATH."""

from __future__ import annotations

import functools
import shutil
import subprocess
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
CHART = ROOT / "deploy" / "helm" / "reelwire"
VALUE_SETS = sorted(path.name.removesuffix("-values.yaml") for path in (CHART / "ci").glob("*-values.yaml"))
WITH_PODS = [
    *((name, "service") for name in VALUE_SETS),
    *(("console", "console"), ("ingest", "console"), ("ingest", "ingest")),
]
"""Sets of values, with a component that has pods of its own in them."""
HELM = shutil.which("helm")
WITHOUT = "helm is not on PATH (go install helm.sh/helm/v3/cmd/helm@latest)"
_KUBERNETES = "1.33.0"

Manifest = dict[str, Any]


def values_file(name: str) -> Path:
    """Where a set of values is."""
    return CHART / "ci" / f"{name}-values.yaml"


def helm(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run it; its output is text."""
    assert HELM is not None
    return subprocess.run([HELM, *arguments], capture_output=True, text=True, timeout=60, check=False)


def template(name: str, *more: str) -> subprocess.CompletedProcess[str]:
    """`helm template` with a set of values and further options."""
    where = ["--namespace", "video", "--kube-version", _KUBERNETES, "-f", str(values_file(name))]
    return helm("template", "reelwire", str(CHART), *where, *more)


def refusal(name: str, options: list[str]) -> str:
    """What is said when these values are not taken."""
    result = template(name, *(part for option in options for part in ("--set", option)))
    assert result.returncode != 0
    return result.stderr


@functools.cache
def rendered(name: str) -> tuple[Manifest, ...]:
    """Every object that the chart makes of a set of values."""
    result = template(name)
    assert result.returncode == 0, result.stderr
    return tuple(found for found in yaml.safe_load_all(result.stdout) if found)


def of_kind(name: str, kind: str) -> list[Manifest]:
    """The objects of one kind."""
    return [found for found in rendered(name) if found["kind"] == kind]


def component_of(manifest: Manifest) -> str:
    """Whose object it is: the console and ingest label their own, the rest are the service's."""
    labels: dict[str, str] = manifest["metadata"].get("labels", {})
    return labels.get("app.kubernetes.io/component", "service")


def one(name: str, kind: str, component: str = "service") -> Manifest:
    """The only object of a kind of this component."""
    [found] = [found for found in of_kind(name, kind) if component_of(found) == component]
    return found


def pods(name: str) -> list[tuple[str, Manifest]]:
    """What runs: the kind of its owner, and the specification of the pod."""
    return [
        (found["kind"], found["spec"]["template"]["spec"])
        for found in rendered(name)
        if found["kind"] in {"Deployment", "Job", "StatefulSet", "DaemonSet"}
    ]
