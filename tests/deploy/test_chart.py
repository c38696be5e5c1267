"""The chart: rendered with six sets of values, linted, valid by the schemas, and held to our policies."""

from __future__ import annotations

import copy
import json
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from service.settings import KafkaSettings, Settings
from tests.deploy.chart import (
    CHART,
    HELM,
    ROOT,
    VALUE_SETS,
    WITH_PODS,
    WITHOUT,
    component_of,
    helm,
    of_kind,
    one,
    pods,
    refusal,
    rendered,
    template,
    values_file,
)
from tests.deploy.pod_settings import NOT_A_SECRET, settings_of, toml_of
from tests.deploy.policies import POLICIES, Pod
from tests.deploy.promtool import rules as alert_rules
from tests.deploy.schemas import check_manifest

pytestmark = [pytest.mark.unit, pytest.mark.skipif(HELM is None, reason=WITHOUT)]

every_set = pytest.mark.parametrize("name", VALUE_SETS)


def test_there_are_six_sets_of_values() -> None:
    assert VALUE_SETS == ["console", "ingest", "minimal", "objects", "scaled", "secured"]


@every_set
def test_the_chart_is_clean(name: str) -> None:
    result = helm("lint", "--strict", "--kube-version", "1.33.0", str(CHART), "-f", str(values_file(name)))

    assert result.returncode == 0, result.stdout + result.stderr
    assert "[ERROR]" not in result.stdout
    assert "[WARNING]" not in result.stdout


@every_set
def test_every_object_is_allowed_by_its_schema(name: str) -> None:
    assert {"Deployment", "ConfigMap", "ServiceAccount"} <= {found["kind"] for found in rendered(name)}
    for manifest in rendered(name):
        check_manifest(manifest)


def test_a_misspelt_member_is_not_allowed_by_its_schema() -> None:
    manifest = copy.deepcopy(one("minimal", "Deployment"))
    manifest["spec"]["template"]["spec"]["containers"][0]["readinesProbe"] = {}

    with pytest.raises(ValueError, match=r"not in the schema: \.spec\.template\.spec\.containers\[0\]\.readinesProbe"):
        check_manifest(manifest)


# Policies


@every_set
def test_every_pod_keeps_to_every_policy(name: str) -> None:
    for kind, pod in pods(name):
        assert {policy.__name__: said for policy in POLICIES if (said := policy(pod)) is not None} == {}, kind


def _container(pod: Pod) -> dict[str, Any]:
    container: dict[str, Any] = pod["containers"][0]
    return container


BREAKS: dict[str, Callable[[Pod], object]] = {
    "not_root": lambda pod: pod["securityContext"].pop("runAsNonRoot"),
    "confined": lambda pod: pod["securityContext"].pop("seccompProfile"),
    "alone": lambda pod: pod.update(automountServiceAccountToken=True),
    "locked": lambda pod: _container(pod)["securityContext"].update(readOnlyRootFilesystem=False),
    "bounded": lambda pod: _container(pod)["resources"].pop("limits"),
    "pinned": lambda pod: _container(pod).update(image="reelwire"),
    "without_secrets": lambda pod: _container(pod)["env"].append(
        {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "a", "key": "b"}}}
    ),
    "mounted": lambda pod: pod["volumes"].clear(),
}


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: str(policy.__name__))
def test_a_pod_that_breaks_a_policy_is_noticed(policy: Callable[[Pod], str | None]) -> None:
    [(_, pod)] = pods("minimal")
    broken = copy.deepcopy(pod)
    BREAKS[policy.__name__](broken)

    assert policy(pod) is None
    assert policy(broken) is not None


@every_set
def test_the_kubelet_asks_the_three_endpoints_and_waits_longer_than_the_drain(name: str) -> None:
    pod = one(name, "Deployment")["spec"]["template"]["spec"]
    probes = {kind: pod["containers"][0][f"{kind}Probe"]["httpGet"] for kind in ("startup", "liveness", "readiness")}

    assert probes == {
        "startup": {"path": "/health/startup", "port": "http"},
        "liveness": {"path": "/health/live", "port": "http"},
        "readiness": {"path": "/health/ready", "port": "http"},
    }
    drain = toml_of(name)["shutdown"]["drain_seconds"]
    assert drain >= 1800
    assert pod["terminationGracePeriodSeconds"] >= drain + 30


def test_the_pod_runs_as_the_user_of_the_image() -> None:
    user = re.search(r"^USER (\d+):(\d+)$", (ROOT / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)
    assert user is not None

    for _, pod in pods("scaled"):
        security = pod["securityContext"]
        assert (security["runAsUser"], security["runAsGroup"]) == (int(user[1]), int(user[2]))


@pytest.mark.parametrize(("name", "component"), WITH_PODS)
def test_what_selects_the_pods_selects_them(name: str, component: str) -> None:
    labels = one(name, "Deployment", component)["spec"]["template"]["metadata"]["labels"].items()
    selectors = [
        found["spec"].get("selector", found["spec"].get("podSelector"))
        for kind in ("Deployment", "PodDisruptionBudget", "NetworkPolicy", "PodMonitor", "Service")
        for found in of_kind(name, kind)
        if component_of(found) == component
    ]

    assert len(selectors) >= 2
    for selector in selectors:
        assert selector.get("matchLabels", selector).items() <= labels


# Settings and secrets


@pytest.mark.parametrize(("name", "component"), WITH_PODS)
def test_the_settings_are_read_and_every_file_they_name_is_mounted(
    name: str, component: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_of(name, component, tmp_path, monkeypatch)

    assert settings.kafka.bootstrap_servers.replace(",", "") != ""
    assert settings.http.port == Settings().http.port
    assert settings.platform_api_key() == (NOT_A_SECRET if component == "service" else None)


TOKENS = [
    "kafka.sasl.mechanism=OAUTHBEARER",
    "kafka.sasl.oauth.tokenUrl=https://tokens.example.com/token",
    "kafka.sasl.oauth.clientId=reelwire",
]


def test_the_chart_knows_every_login_of_the_service() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    offered = schema["properties"]["kafka"]["properties"]["sasl"]["properties"]["mechanism"]["enum"]

    assert set(get_args(KafkaSettings.model_fields["sasl_mechanism"].annotation)) <= set(offered)


@pytest.mark.parametrize(
    ("options", "members"),
    [
        ([], {"sasl_mechanism", "sasl_username", "sasl_password_file"}),
        (
            TOKENS,
            {"sasl_mechanism", "sasl_oauth_token_url", "sasl_oauth_client_id", "sasl_oauth_client_secret_file"},
        ),
        (["kafka.sasl.mechanism=AWS_MSK_IAM", "kafka.sasl.password.existingSecret="], {"sasl_mechanism"}),
    ],
)
def test_each_login_has_the_settings_that_it_needs(options: list[str], members: set[str]) -> None:
    result = template("secured", *(part for option in options for part in ("--set", option)))
    assert result.returncode == 0, result.stderr
    config = next(part for part in yaml.safe_load_all(result.stdout) if part["kind"] == "ConfigMap")
    kafka = tomllib.loads(config["data"]["reelwire.toml"])["kafka"]

    assert {name for name in kafka if name.startswith("sasl_")} == members


def test_settings_arrive_as_they_were_given() -> None:
    content = toml_of("scaled")

    assert content["jobs"] == {"max_streams": 100, "max_held_bytes": 134217728, "ordering": "key"}
    assert content["topics"] == {"partitions": 24, "replication": 3}
    assert content["cost"] == {"per_minute": 0.033, "currency": "USD"}
    assert toml_of("objects")["sources"]["object_prefixes"] == ["s3://videos/"]


def test_secrets_given_as_values_are_in_the_secret_alone() -> None:
    for manifest in (*rendered("objects"), *rendered("console"), *rendered("ingest")):
        assert ("not-a-real" in json.dumps(manifest)) == (manifest["kind"] == "Secret")


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("minimal", ["platform.apiKey.existingSecret="], "platform.apiKey: set exactly one of existingSecret, file"),
        ("minimal", ["platform.apiKey.value=x"], "platform.apiKey: set exactly one"),
        ("minimal", ["kafka.bootstrapServers="], "bootstrapServers"),
        ("minimal", ["kafka.bootstrapServers=kafka"], "bootstrapServers"),
        ("minimal", ["kafka.tls.caSecret=ca"], "kafka.tls: has no effect"),
        ("minimal", ["replcas=3"], "replcas"),
        ("minimal", ["settings.http.port=9000"], "settings.http: the chart decides"),
        ("minimal", ["settings.shutdown.drain_seconds=9"], "settings.shutdown: set drainSeconds"),
        ("minimal", ["settings.platform.api_key=x"], "settings.platform.api_key: is a secret"),
        ("minimal", ["settings.kafka.sasl_password=x"], "settings.kafka.sasl_password: is a secret"),
        ("minimal", ["webhooks.ingress.enabled=true,webhooks.ingress.host=a.b"], "webhooks.ingress: needs webhooks.en"),
        ("secured", ["kafka.sasl.username="], "kafka.sasl.username: is needed"),
        ("secured", ["kafka.sasl.mechanism=OAUTHBEARER"], "kafka.sasl.oauth: tokenUrl and clientId are needed"),
        ("secured", ["kafka.sasl.password.value=x"], "kafka.sasl.password: set exactly one"),
        ("scaled", ["scaling.maxReplicas=25"], "scaling.maxReplicas: must be at most topicsJob.partitions"),
        ("scaled", ["scaling.minReplicas=30"], "scaling.minReplicas: must be at most scaling.maxReplicas"),
        ("scaled", ["resources.limits=null"], "resources"),
        ("objects", ["webhooks.secret.value="], "webhooks.secret: set exactly one"),
        ("objects", ["webhooks.ingress.host="], "host"),
    ],
)
def test_values_that_do_not_fit_are_refused_by_name(name: str, options: list[str], said: str) -> None:
    assert said in refusal(name, options)


# Watching and scaling


def test_the_group_is_scaled_by_its_work_and_never_by_nothing() -> None:
    scaled = one("scaled", "ScaledObject")["spec"]
    [trigger] = scaled["triggers"]

    assert scaled["scaleTargetRef"]["name"] == one("scaled", "Deployment")["metadata"]["name"]
    assert trigger["metadata"]["query"] == 'sum(reelwire_work{namespace="video", pod=~"reelwire-.*"})'
    assert trigger["metricType"] == "AverageValue"
    assert trigger["metadata"]["ignoreNullValues"] == "false"
    assert scaled["fallback"]["replicas"] == scaled["minReplicaCount"] == 2
    assert "replicas" not in one("scaled", "Deployment")["spec"]


def test_down_to_nothing_lag_wakes_the_first_replica_and_no_more() -> None:
    scaled = one("objects", "ScaledObject")["spec"]
    work, lag = scaled["triggers"]

    assert scaled["minReplicaCount"] == 0
    assert work["metadata"]["query"].endswith(" or vector(0)")
    assert lag["type"] == "kafka"
    assert lag["metadata"]["topic"] == Settings().topics.requests
    assert lag["metadata"]["consumerGroup"] == Settings().kafka.group_id
    assert int(lag["metadata"]["lagThreshold"]) > 1_000_000


def test_rules_and_dashboard_are_those_of_the_repository() -> None:
    originals = {
        "alerts.yaml": ROOT / "deploy/prometheus/alerts.yaml",
        "slo.yaml": ROOT / "deploy/prometheus/slo.yaml",
        "dashboard.json": ROOT / "deploy/grafana/dashboards/reelwire.json",
    }
    assert {path.name for path in (CHART / "files").iterdir()} == set(originals)
    for name, original in originals.items():
        same = (CHART / "files" / name).read_text(encoding="utf-8") == original.read_text(encoding="utf-8")
        assert same, f"{name}: run `make docs`"

    rules = one("scaled", "PrometheusRule")["spec"]["groups"]
    written = [
        yaml.safe_load(originals[name].read_text(encoding="utf-8"))["groups"] for name in ("slo.yaml", "alerts.yaml")
    ]
    assert rules == [group for groups in written for group in groups]
    [board] = [found for found in of_kind("scaled", "ConfigMap") if "reelwire.json" in found["data"]]
    assert json.loads(board["data"]["reelwire.json"]) == json.loads(originals["dashboard.json"].read_text())


@pytest.mark.parametrize(("least", "missing"), [(0, {"ReelwireAbsent"}), (1, set())])
def test_nobody_is_woken_for_no_process_where_that_is_as_it_should_be(least: int, missing: set[str]) -> None:
    options = ("--set", "monitoring.rules=true", "--set", f"scaling.minReplicas={least}")
    result = template("objects", *options)
    rules = next(part for part in yaml.safe_load_all(result.stdout) if part["kind"] == "PrometheusRule")

    found = {rule.get("alert") for group in rules["spec"]["groups"] for rule in group["rules"]}
    assert {rule["alert"] for rule in alert_rules("alerts.yaml")} - found == missing


def test_runbooks_are_linked_where_the_operator_keeps_them() -> None:
    result = template("scaled", "--set", "monitoring.runbookBase=https://docs.example.com/reelwire/")
    links = re.findall(r"runbook_url: (\S+)", result.stdout)

    assert len(links) > 20
    assert all(
        re.fullmatch(r"https://docs\.example\.com/reelwire/docs/runbooks/Reelwire\w+\.md", link) for link in links
    )


def test_the_job_label_is_the_one_of_the_rules() -> None:
    monitor = one("scaled", "PodMonitor")["spec"]
    label = one("scaled", "Deployment")["spec"]["template"]["metadata"]["labels"][monitor["jobLabel"]]

    assert f'up{{job="{label}"}}' in (ROOT / "deploy/prometheus/alerts.yaml").read_text(encoding="utf-8")


def test_the_version_of_the_chart_is_that_of_the_service() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]

    assert yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))["appVersion"] == version
