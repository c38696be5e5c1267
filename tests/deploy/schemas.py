"""The schemas of Kubernetes, of the operators and of compose, as Python models. What no model knows is an error."""

from __future__ import annotations

from functools import cache
from typing import Any

from pydantic import BaseModel

LATER = {("ScaledObject", ".spec.fallback.behavior")}
"""Members that KEDA has by 2.20 and the models of Python 3.11 to 3.13, which are of KEDA 2.16, do not know."""


@cache
def kinds() -> dict[tuple[str, str], type[BaseModel]]:
    """The model of each kind. They take seconds to import, and most workers of a test run need none of them."""
    from cloudcoil.models.keda import v1alpha1 as keda
    from cloudcoil.models.kubernetes.apps import v1 as apps
    from cloudcoil.models.kubernetes.batch import v1 as batch
    from cloudcoil.models.kubernetes.core import v1 as core
    from cloudcoil.models.kubernetes.networking import v1 as networking
    from cloudcoil.models.kubernetes.policy import v1 as policy
    from cloudcoil.models.prometheus_operator import v1 as monitoring

    return {
        ("v1", "ConfigMap"): core.ConfigMap,
        ("v1", "Secret"): core.Secret,
        ("v1", "Service"): core.Service,
        ("v1", "ServiceAccount"): core.ServiceAccount,
        ("apps/v1", "Deployment"): apps.Deployment,
        ("batch/v1", "Job"): batch.Job,
        ("policy/v1", "PodDisruptionBudget"): policy.PodDisruptionBudget,
        ("networking.k8s.io/v1", "NetworkPolicy"): networking.NetworkPolicy,
        ("networking.k8s.io/v1", "Ingress"): networking.Ingress,
        ("monitoring.coreos.com/v1", "PodMonitor"): monitoring.PodMonitor,
        ("monitoring.coreos.com/v1", "PrometheusRule"): monitoring.PrometheusRule,
        ("keda.sh/v1alpha1", "ScaledObject"): keda.ScaledObject,
    }


def check_manifest(manifest: dict[str, Any]) -> None:
    """Raise `ValueError` for an object of Kubernetes that its schema does not allow."""
    _check(kinds()[manifest["apiVersion"], manifest["kind"]], manifest)


def check_compose(content: dict[str, Any]) -> None:
    """Raise `ValueError` for a compose file that the specification does not allow."""
    from compose_spec.models import ComposeSpecification

    _check(ComposeSpecification, {name: part for name, part in content.items() if not name.startswith("x-")})


def _check(model: type[BaseModel], content: dict[str, Any]) -> None:
    """The models take no offence at a member they do not know, but leave it out: so what is left out is wrong."""
    known = model.model_validate(content).model_dump(by_alias=True, exclude_unset=True, mode="json")
    missing = [place for place in _missing(content, known, "") if (model.__name__, place) not in LATER]
    if missing:
        raise ValueError(f"not in the schema: {', '.join(missing)}")


def _missing(wanted: Any, known: Any, place: str) -> list[str]:
    if isinstance(wanted, dict) and isinstance(known, dict):
        return [
            path
            for name, part in wanted.items()
            for path in ([f"{place}.{name}"] if name not in known else _missing(part, known[name], f"{place}.{name}"))
        ]
    if isinstance(wanted, list) and isinstance(known, list):
        if len(wanted) != len(known):
            return [place]
        pairs = zip(wanted, known, strict=True)
        return [path for number, (a, b) in enumerate(pairs) for path in _missing(a, b, f"{place}[{number}]")]
    return []
