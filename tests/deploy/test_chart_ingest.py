"""Ingest in the chart: off by default; its rules, its rights, its way in and out, and who watches it."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from service.cli.commands.ingest import command
from service.ingest.notifications.arrival import Arrival
from service.ingest.process import check
from service.ingest.rules.reading import Rules, read_rules
from service.settings import Settings
from tests.deploy.chart import HELM, VALUE_SETS, WITHOUT, Manifest, component_of, of_kind, one, refusal, template
from tests.deploy.pod_settings import NOT_A_SECRET, config_of, settings_of, toml_of

pytestmark = [pytest.mark.unit, pytest.mark.skipif(HELM is None, reason=WITHOUT)]


def _made(name: str, *options: str) -> list[Manifest]:
    """The objects of ingest, with further options."""
    result = template(name, *(part for option in options for part in ("--set", option)))
    assert result.returncode == 0, result.stderr
    return [part for part in yaml.safe_load_all(result.stdout) if part and component_of(part) == "ingest"]


def _pod(found: list[Manifest]) -> Manifest:
    pod: Manifest = next(part for part in found if part["kind"] == "Deployment")["spec"]["template"]
    return pod


def _given(pod: Manifest) -> dict[str, Any]:
    """What the command makes of the arguments of the container."""
    [container] = pod["spec"]["containers"]
    name, *arguments = container["args"]
    assert name == command.name
    return command.make_context(name, list(arguments)).params


def _rules(folder: Path) -> Rules:
    """The rules of the ConfigMap, read with the files beside them."""
    for file, text in config_of("ingest", "ingest")["data"].items():
        if file != "reelwire.toml":  # a test may have made its own there
            (folder / file).write_text(text, encoding="utf-8")
    return read_rules(folder / "rules.toml", max_bytes=Settings().jobs.max_request_bytes)


def test_it_is_off_unless_it_is_asked_for() -> None:
    ran = {name: {component_of(found) for found in of_kind(name, "Deployment")} for name in VALUE_SETS}
    assert [name for name, components in ran.items() if "ingest" in components] == ["ingest"]


def test_its_settings_hold_its_own_secret_and_nothing_of_the_platform(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_of("ingest", "ingest", tmp_path, monkeypatch)

    assert {"platform", "webhooks", "shutdown", "console"} & toml_of("ingest", "ingest").keys() == set()
    assert settings.ingest_secret() == NOT_A_SECRET
    assert settings.ingest.remember_hours == 48
    check(settings, _rules(tmp_path), None)


def test_its_rules_are_those_of_the_values_with_the_files_that_they_name(tmp_path: Path) -> None:
    rules = _rules(tmp_path)
    planned = rules.of(Arrival("s3", "footage", "gate/cam1/a.mp4", version="1", size=1, uri="s3://footage/gate/a.mp4"))

    assert rules.topics == ("bucket-events",)
    assert planned is not None
    assert planned.key == "cam1"
    assert b'"vehicles"' in planned.value


def test_the_command_takes_its_arguments_and_the_folder_is_where_both_may_read_it() -> None:
    given = _given(_pod(_made("ingest")))
    watched = str(given["watch"])

    assert str(given["file"]) == "/etc/reelwire/config/rules.toml"
    assert (watched, given["existing"], given["prompt"]) == ("/recordings", "skip", None)
    for component in ("service", "ingest"):
        assert watched in toml_of("ingest", component)["sources"]["file_roots"]
        [container] = one("ingest", "Deployment", component)["spec"]["template"]["spec"]["containers"]
        assert watched in {mount["mountPath"] for mount in container["volumeMounts"]}


def test_a_folder_needs_no_rules() -> None:
    options = ["ingest.rules=", "ingest.files=null", "ingest.watch.prompt=Any incident?"]
    found = _made("ingest", *options)
    given = _given(_pod(found))
    [config] = [part for part in found if part["kind"] == "ConfigMap"]

    assert (given["file"], given["prompt"]) == (None, "Any incident?")
    assert config["data"].keys() == {"reelwire.toml"}


@pytest.mark.parametrize(
    "option", ["ingest.files.more\\.json=x", "ingest.rules=[[rules]]", "settings.ingest.remember_hours=12"]
)
def test_a_change_of_rules_files_or_settings_rolls_the_pods(option: str) -> None:
    before, after = _pod(_made("ingest")), _pod(_made("ingest", option))

    assert before["metadata"]["annotations"] != after["metadata"]["annotations"]
    assert before["spec"] == after["spec"]


def test_the_kubelet_asks_the_three_endpoints() -> None:
    [container] = one("ingest", "Deployment", "ingest")["spec"]["template"]["spec"]["containers"]

    assert {kind: container[f"{kind}Probe"]["httpGet"] for kind in ("startup", "liveness", "readiness")} == {
        kind: {"path": f"/health/{path}", "port": "http"}
        for kind, path in (("startup", "startup"), ("liveness", "live"), ("readiness", "ready"))
    }
    assert [port["containerPort"] for port in container["ports"]] == [Settings().http.port]


def test_it_has_an_account_of_its_own_and_its_own_login() -> None:
    account = one("ingest", "ServiceAccount", "ingest")["metadata"]
    pod = one("ingest", "Deployment", "ingest")["spec"]["template"]["spec"]
    kafka = toml_of("ingest", "ingest")["kafka"]
    mounted = {
        volume["name"]: (volume["secret"]["secretName"], [item["key"] for item in volume["secret"]["items"]])
        for volume in pod["volumes"]
        if "secret" in volume
    }

    assert pod["serviceAccountName"] == account["name"] == "reelwire-ingest"
    assert "annotations" not in account
    assert kafka["sasl_username"] == "reelwire-ingest"
    assert mounted == {
        "ingest": ("reelwire", ["ingest-secret"]),
        "kafka-password": ("reelwire", ["ingest-kafka-password"]),
        "kafka-ca": ("main-cluster-ca-cert", ["ca.crt"]),
    }


def test_without_a_login_of_its_own_it_has_the_services() -> None:
    found = _made("ingest", "ingest.login.user=", "ingest.login.password.value=")
    [config] = [part for part in found if part["kind"] == "ConfigMap"]

    assert tomllib.loads(config["data"]["reelwire.toml"])["kafka"] == toml_of("ingest")["kafka"]


def test_a_user_is_the_client_of_the_token_server_where_tokens_log_in() -> None:
    options = ["mechanism=OAUTHBEARER", "oauth.tokenUrl=https://tokens.example.com/token", "oauth.clientId=reelwire"]
    found = _made("ingest", *(f"kafka.sasl.{option}" for option in options))
    [config] = [part for part in found if part["kind"] == "ConfigMap"]
    [policy] = [part for part in found if part["kind"] == "NetworkPolicy"]
    kafka = tomllib.loads(config["data"]["reelwire.toml"])["kafka"]

    assert kafka["sasl_oauth_client_id"] == "reelwire-ingest"
    assert kafka["sasl_oauth_client_secret_file"].endswith("/ingest-kafka-password")
    assert {port["port"] for rule in policy["spec"]["egress"] for port in rule["ports"]} == {53, 9093, 443}


def test_it_is_let_in_by_its_own_policy_and_reaches_kafka_alone() -> None:
    policy = one("ingest", "NetworkPolicy", "ingest")["spec"]
    [let_in] = policy["ingress"]

    assert let_in["ports"] == [{"port": Settings().http.port, "protocol": "TCP"}]
    names = [peer["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"] for peer in let_in["from"]]
    assert names == ["monitoring", "ingress-nginx"]
    assert {port["port"] for rule in policy["egress"] for port in rule["ports"]} == {53, 9093}


def test_senders_are_let_in_only_where_notifications_are_taken() -> None:
    found = _made("ingest", "ingest.secret.value=", "ingest.ingress.enabled=false")
    [policy] = [part for part in found if part["kind"] == "NetworkPolicy"]

    assert {part["kind"] for part in found} & {"Service", "Ingress"} == set()
    [let_in] = policy["spec"]["ingress"]
    assert len(let_in["from"]) == 1
    assert _made("ingest", "networkPolicy.from=null", "ingest.from=null")  # nobody: still a policy


def test_from_outside_only_notifications_can_be_sent() -> None:
    [rule] = one("ingest", "Ingress", "ingest")["spec"]["rules"]
    [path] = rule["http"]["paths"]

    assert (path["path"], path["pathType"]) == ("/notifications/", "Prefix")
    assert path["backend"]["service"]["name"] == one("ingest", "Service", "ingest")["metadata"]["name"]


def test_it_is_scraped_as_a_job_of_its_own() -> None:
    """By the service's job and `reelwire_info` alerts see whether the service is there."""
    monitor = one("ingest", "PodMonitor", "ingest")["spec"]
    [endpoint] = monitor["podMetricsEndpoints"]

    assert "jobLabel" not in monitor
    assert endpoint["relabelings"] == [{"action": "replace", "targetLabel": "job", "replacement": "reelwire-ingest"}]
    labels = one("ingest", "Deployment", "ingest")["spec"]["template"]["metadata"]["labels"].items()
    assert not one("ingest", "PodMonitor")["spec"]["selector"]["matchLabels"].items() <= labels


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["ingest.rules=", "ingest.files=null", "ingest.watch.path="], "ingest: set ingest.rules"),
        (["ingest.watch.prompt=x"], "ingest.watch.prompt: goes without ingest.rules"),
        (["ingest.rules="], "ingest.files: have no effect without ingest.rules"),
        (["ingest.files.rules\\.toml=x"], "ingest.files: rules.toml is made by the chart"),
        (["settings.sources.file_roots="], "ingest.watch.path: must be below one of settings.sources.file_roots"),
        (["settings.kafka.delivery=at_least_once"], "settings.kafka.delivery: ingest needs transactions"),
        (["settings.ingest.secret=x"], "settings.ingest.secret: is a secret"),
        (["ingest.secret.existingSecret=x"], "ingest.secret: set exactly one"),
        (["ingest.secret.value="], "ingest.ingress: needs ingest.secret"),
        (["ingest.ingress.host="], "host"),
        (["ingest.watch.existing=maybe"], "existing"),
        (["ingest.watch.path=recordings"], "path"),
        (["ingest.login.user="], "ingest.login.user: is needed with a password"),
        (["kafka.sasl.mechanism=AWS_MSK_IAM"], "AWS_MSK_IAM knows the pod by console.serviceAccount"),
        (
            ["kafka.sasl.mechanism=AWS_MSK_IAM", "console.enabled=false"],
            "AWS_MSK_IAM knows the pod by ingest.serviceAccount",
        ),
        (["ingest.resources.limits=null"], "resources"),
        (["ingest.rule=x"], "rule"),
    ],
)
def test_values_that_do_not_fit_are_refused_by_name(options: list[str], said: str) -> None:
    assert said in refusal("ingest", options)
