"""The console in the chart: what it may reach and be reached by, and whose identity it has."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
import yaml

from service.settings import Settings
from tests.deploy.chart import HELM, WITHOUT, component_of, one, refusal, template
from tests.deploy.pod_settings import NOT_A_SECRET, settings_of, toml_of

pytestmark = [pytest.mark.unit, pytest.mark.skipif(HELM is None, reason=WITHOUT)]


def test_its_settings_hold_its_own_secrets_and_nothing_of_the_platform(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_of("console", "console", tmp_path, monkeypatch)

    assert {"platform", "webhooks", "shutdown"} & toml_of("console", "console").keys() == set()
    assert settings.console.sign_in_token() == settings.console.signing_secret() == NOT_A_SECRET
    assert (settings.console.host, settings.console.port) == ("0.0.0.0", Settings().console.port)


def test_it_is_let_in_by_its_own_policy_and_reaches_kafka_alone() -> None:
    policy = one("console", "NetworkPolicy", "console")["spec"]
    [let_in] = policy["ingress"]

    assert let_in["ports"] == [{"port": Settings().console.port, "protocol": "TCP"}]
    assert let_in["from"] == [{"podSelector": {"matchLabels": {"app": "oauth2-proxy"}}}]
    assert {port["port"] for rule in policy["egress"] for port in rule["ports"]} == {53, 9092, 9093}
    rest = one("console", "NetworkPolicy")["spec"]["podSelector"]["matchExpressions"]
    assert rest == [{"key": "app.kubernetes.io/component", "operator": "NotIn", "values": ["console", "ingest"]}]


def test_nobody_reaches_it_who_was_not_named() -> None:
    result = template("console", "--set", "console.from=null")
    policies = [part for part in yaml.safe_load_all(result.stdout) if part and part["kind"] == "NetworkPolicy"]

    assert [found["spec"]["ingress"] for found in policies if component_of(found) == "console"] == [[]]


def test_without_secrets_it_only_shows() -> None:
    result = template("minimal", "--set", "console.enabled=true")
    found = [part for part in yaml.safe_load_all(result.stdout) if part and component_of(part) == "console"]
    config = next(part for part in found if part["kind"] == "ConfigMap")

    assert {part["kind"] for part in found} == {"ConfigMap", "Deployment", "Service", "ServiceAccount"}
    assert tomllib.loads(config["data"]["reelwire.toml"])["console"] == {"host": "0.0.0.0", "port": 8090}


def test_it_has_an_account_of_its_own_without_the_rights_of_the_services() -> None:
    account = one("ingest", "ServiceAccount", "console")
    pod = one("ingest", "Deployment", "console")["spec"]["template"]["spec"]

    assert pod["serviceAccountName"] == account["metadata"]["name"] == "reelwire-console"
    assert "annotations" not in account["metadata"]
    service = one("ingest", "ServiceAccount")["metadata"]
    assert service["name"] == "reelwire"
    assert service["annotations"] == {"eks.amazonaws.com/role-arn": "arn:aws:iam::123456789012:role/reelwire-videos"}


@pytest.mark.parametrize(
    ("options", "name"),
    [
        (["console.serviceAccount.name=viewers"], "viewers"),
        (["console.serviceAccount.create=false"], "default"),
        (["console.serviceAccount.create=false", "console.serviceAccount.name=given"], "given"),
    ],
)
def test_its_account_is_the_one_that_was_asked_for(options: list[str], name: str) -> None:
    result = template("ingest", *(part for option in options for part in ("--set", option)))
    found = [part for part in yaml.safe_load_all(result.stdout) if part and component_of(part) == "console"]
    pod = next(part for part in found if part["kind"] == "Deployment")["spec"]["template"]["spec"]
    made = [part["metadata"]["name"] for part in found if part["kind"] == "ServiceAccount"]

    assert pod["serviceAccountName"] == name
    assert made == ([] if "console.serviceAccount.create=false" in options else [name])


def test_it_logs_in_to_kafka_as_the_user_that_it_was_given() -> None:
    kafka = toml_of("ingest", "console")["kafka"]
    pod = one("ingest", "Deployment", "console")["spec"]["template"]["spec"]
    secrets = {volume["secret"]["secretName"] for volume in pod["volumes"] if "secret" in volume}

    assert kafka["sasl_username"] == "reelwire-console"
    assert kafka["sasl_password_file"] == "/etc/reelwire/secrets/kafka-password/password"
    assert secrets == {"reelwire-console", "main-cluster-ca-cert"}
    assert toml_of("ingest")["kafka"]["sasl_username"] == "reelwire"


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("console", ["console.token.value=x"], "console.token: set exactly one"),
        ("console", ["settings.console.port=80"], "settings.console: host and port are the chart's"),
        ("console", ["settings.console.stream_secret=x"], "settings.console.stream_secret: is a secret"),
        ("console", ["console.origins={app.example.com}"], "origins"),
        ("console", ["console.login.user=viewer"], "console.login.user: has no effect without a SASL protocol"),
        ("console", ["console.login.clientSecret=tls"], "console.login.clientSecret: has no effect without"),
        ("ingest", ["console.login.user="], "console.login.user: is needed with a password"),
        ("ingest", ["console.login.password.existingSecret="], "console.login.password: set exactly one"),
    ],
)
def test_values_that_do_not_fit_are_refused_by_name(name: str, options: list[str], said: str) -> None:
    assert said in refusal(name, options)
