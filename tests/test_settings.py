"""Settings: where they come from, and that every wrong one stops the start with its variable's name."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from service.errors import SettingsError
from service.ops.webhooks.secrets import SigningSecrets
from service.settings import Settings, load_settings
from service.settings.secrets import redacted, secrets_of
from service.settings.sources import members, origins
from service.telemetry.redaction import MASK

pytestmark = pytest.mark.unit

SASL = {
    "REELWIRE_KAFKA__SECURITY_PROTOCOL": "SASL_PLAINTEXT",
    "REELWIRE_KAFKA__SASL_MECHANISM": "SCRAM-SHA-512",
    "REELWIRE_KAFKA__SASL_USERNAME": "reel",
    "REELWIRE_KAFKA__SASL_PASSWORD": "sasl-pass-word",
}


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("REELWIRE_") or name == "TWELVELABS_API_KEY":
            monkeypatch.delenv(name)


def give(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


def configured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str) -> Path:
    path = tmp_path / "reelwire.toml"
    path.write_text(text, encoding="utf-8")
    monkeypatch.setenv("REELWIRE_CONFIG", str(path))
    return path


def test_the_defaults_are_those_of_the_contract() -> None:
    settings = load_settings()
    assert settings.kafka.group_id == "reelwire"
    assert settings.topics.requests == "video.analysis.requests.v1"
    assert settings.topics.dead_letters == "video.analysis.requests.v1.dlq"
    assert settings.platform.base_url == "https://api.twelvelabs.io/v1.3"
    assert settings.http.port == 8080
    assert settings.jobs.dedup_hours == settings.topics.retention_hours == settings.assets.reuse_hours == 168
    assert (settings.topics.partitions, settings.topics.replication) == (6, 1)
    assert settings.sources.file_roots == ()
    assert settings.sources.object_prefixes == ()
    assert settings.platform_api_key() is None


OAUTH = {
    "REELWIRE_KAFKA__SECURITY_PROTOCOL": "SASL_PLAINTEXT",
    "REELWIRE_KAFKA__SASL_MECHANISM": "OAUTHBEARER",
    "REELWIRE_KAFKA__SASL_OAUTH_TOKEN_URL": "https://idp.example.com/token",
    "REELWIRE_KAFKA__SASL_OAUTH_CLIENT_ID": "cams",
    "REELWIRE_KAFKA__SASL_OAUTH_CLIENT_SECRET": "an-oauth-secret",
}


@pytest.mark.parametrize(
    ("variables", "line"),
    [
        ({"REELWIRE_KAFKA__BOOTSTRAP_SERVERS": ""}, "REELWIRE_KAFKA__BOOTSTRAP_SERVERS: ''"),
        ({"REELWIRE_KAFKA__BOOTSTRAP_SERVERS": "kafka"}, "'kafka' is not host:port"),
        ({"REELWIRE_KAFKA__BOOTSTRAP_SERVERS": "a:1,b:0"}, "'b:0' is not host:port"),
        ({"REELWIRE_KAFKA__GROUP_ID": ""}, "REELWIRE_KAFKA__GROUP_ID: ''"),
        ({"REELWIRE_KAFKA__SECURITY_PROTOCOL": "TLS"}, "REELWIRE_KAFKA__SECURITY_PROTOCOL: 'TLS'"),
        ({"REELWIRE_KAFKA__SASL_MECHANISM": "GSSAPI"}, "REELWIRE_KAFKA__SASL_MECHANISM: 'GSSAPI'"),
        ({"REELWIRE_KAFKA__DELIVERY": "twice"}, "REELWIRE_KAFKA__DELIVERY: 'twice'"),
        ({"REELWIRE_KAFKA__HEARTBEAT_INTERVAL_MS": "9000"}, "REELWIRE_KAFKA__HEARTBEAT_INTERVAL_MS: must be at most"),
        (SASL | {"REELWIRE_KAFKA__SASL_USERNAME": ""}, "REELWIRE_KAFKA__SASL_USERNAME: is needed"),
        (SASL | {"REELWIRE_KAFKA__SASL_PASSWORD": ""}, "REELWIRE_KAFKA__SASL_PASSWORD: is needed"),
        (
            SASL | {"REELWIRE_KAFKA__SECURITY_PROTOCOL": "PLAINTEXT"},
            "REELWIRE_KAFKA__SASL_USERNAME: has no effect with REELWIRE_KAFKA__SECURITY_PROTOCOL=PLAINTEXT",
        ),
        (
            SASL | {"REELWIRE_KAFKA__SASL_MECHANISM": "OAUTHBEARER"},
            "REELWIRE_KAFKA__SASL_USERNAME: has no effect with REELWIRE_KAFKA__SASL_MECHANISM=OAUTHBEARER",
        ),
        (
            SASL | {"REELWIRE_KAFKA__SASL_OAUTH_SCOPE": "kafka"},
            "REELWIRE_KAFKA__SASL_OAUTH_SCOPE: has no effect with REELWIRE_KAFKA__SASL_MECHANISM=",
        ),
        (
            OAUTH | {"REELWIRE_KAFKA__SASL_OAUTH_CLIENT_SECRET": ""},
            "REELWIRE_KAFKA__SASL_OAUTH_CLIENT_SECRET: is needed (or REELWIRE_KAFKA__SASL_OAUTH_CLIENT_SECRET_FILE)",
        ),
        (
            OAUTH | {"REELWIRE_KAFKA__SASL_OAUTH_CLIENT_SECRET_FILE": __file__},
            "REELWIRE_KAFKA__SASL_OAUTH_CLIENT_SECRET_FILE: has no effect with",
        ),
        (
            OAUTH | {"REELWIRE_KAFKA__SASL_OAUTH_TOKEN_URL": "idp.example.com/token"},
            "REELWIRE_KAFKA__SASL_OAUTH_TOKEN_URL: 'idp.example.com/token'",
        ),
        (
            {
                "REELWIRE_KAFKA__SECURITY_PROTOCOL": "SASL_PLAINTEXT",
                "REELWIRE_KAFKA__SASL_MECHANISM": "AWS_MSK_IAM",
            },
            "REELWIRE_KAFKA__SECURITY_PROTOCOL: must be SASL_SSL with REELWIRE_KAFKA__SASL_MECHANISM=AWS_MSK_IAM",
        ),
        (SASL | {"REELWIRE_KAFKA__SSL_CAFILE": "/ca.pem"}, "REELWIRE_KAFKA__SSL_CAFILE: has no effect"),
        (
            {"REELWIRE_KAFKA__SECURITY_PROTOCOL": "SSL", "REELWIRE_KAFKA__SSL_CAFILE": "/no/ca.pem"},
            "REELWIRE_KAFKA__SSL_CAFILE: /no/ca.pem is no file that can be read",
        ),
        (
            {"REELWIRE_KAFKA__SECURITY_PROTOCOL": "SSL", "REELWIRE_KAFKA__SSL_CERTFILE": __file__},
            "REELWIRE_KAFKA__SSL_KEYFILE: is needed with REELWIRE_KAFKA__SSL_CERTFILE",
        ),
        ({"REELWIRE_TOPICS__PARTITIONS": "0"}, "REELWIRE_TOPICS__PARTITIONS: '0'"),
        ({"REELWIRE_TOPICS__PARTITIONS": "six"}, "REELWIRE_TOPICS__PARTITIONS: 'six'"),
        ({"REELWIRE_TOPICS__REQUESTS": "a b"}, "REELWIRE_TOPICS__REQUESTS: 'a b'"),
        (
            {"REELWIRE_TOPICS__PROGRESS": "video.analysis.requests.v1"},
            "REELWIRE_TOPICS__PROGRESS: is the same topic as REELWIRE_TOPICS__REQUESTS",
        ),
        ({"REELWIRE_TOPICS__CREATE": "perhaps"}, "REELWIRE_TOPICS__CREATE: 'perhaps'"),
        (
            {"REELWIRE_TOPICS__RETENTION_HOURS": "1"},
            "REELWIRE_TOPICS__RETENTION_HOURS: must be at least REELWIRE_JOBS__DEDUP_HOURS",
        ),
        ({"REELWIRE_PLATFORM__BASE_URL": "api.twelvelabs.io"}, "REELWIRE_PLATFORM__BASE_URL: 'api.twelvelabs.io'"),
        ({"REELWIRE_PLATFORM__API_KEY_FILE": "/no/key"}, "REELWIRE_PLATFORM__API_KEY_FILE: /no/key can't be read"),
        (
            {"REELWIRE_PLATFORM__API_KEY": "k", "REELWIRE_PLATFORM__API_KEY_FILE": __file__},
            "REELWIRE_PLATFORM__API_KEY and REELWIRE_PLATFORM__API_KEY_FILE: only one of them may be set",
        ),
        (
            {"REELWIRE_WEBHOOKS__SECRET": "k", "REELWIRE_WEBHOOKS__SECRET_FILE": __file__},
            "REELWIRE_WEBHOOKS__SECRET and REELWIRE_WEBHOOKS__SECRET_FILE: only one of them may be set",
        ),
        ({"REELWIRE_WEBHOOKS__SECRET_FILE": "/no/key"}, "REELWIRE_WEBHOOKS__SECRET_FILE: /no/key can't be read"),
        (
            {"REELWIRE_INGEST__SECRET": "x"},
            "REELWIRE_INGEST__SECRET: must have at least 16 characters, such as: openssl",
        ),
        (
            {"REELWIRE_INGEST__SECRET": f"{'a' * 16} {'b' * 15}"},
            "REELWIRE_INGEST__SECRET: each secret must have at least 16 characters",
        ),
        ({"REELWIRE_INGEST__SECRET": "  "}, "REELWIRE_INGEST__SECRET: must have at least 16 characters"),
        ({"REELWIRE_HTTP__PORT": "65536"}, "REELWIRE_HTTP__PORT: '65536': must be at most 65535"),
        ({"REELWIRE_PLATFORM__READ_TIMEOUT_SECONDS": "0"}, "'0': must be greater than 0"),
        ({"REELWIRE_PLATFORM__BASE_URL": "me:hunter2@host"}, "REELWIRE_PLATFORM__BASE_URL: '***@host': must"),
        ({"REELWIRE_KAFKA__BOOTSTRAP_SERVERS": "me:hunter2@host:1"}, "'***@host:1' is not host:port"),
        ({"REELWIRE_HTTP__PORT": "http"}, "REELWIRE_HTTP__PORT: 'http': must be an integer"),
        ({"REELWIRE_JOBS__MAX_IN_FLIGHT": "0"}, "REELWIRE_JOBS__MAX_IN_FLIGHT: '0'"),
        ({"REELWIRE_JOBS__ORDERING": "id"}, "REELWIRE_JOBS__ORDERING: 'id'"),
        ({"REELWIRE_JOBS__MAX_REQUEST_BYTES": "99999999"}, "REELWIRE_JOBS__MAX_REQUEST_BYTES: must be at most"),
        ({"REELWIRE_JOBS__RETRY_MAX_SECONDS": "0.5"}, "REELWIRE_JOBS__RETRY_MAX_SECONDS: must be at least"),
        ({"REELWIRE_POLL__MAX_SECONDS": "1"}, "REELWIRE_POLL__MAX_SECONDS: must be at least"),
        ({"REELWIRE_WRITER__LINGER_MS": "-1"}, "REELWIRE_WRITER__LINGER_MS: '-1'"),
        ({"REELWIRE_SHUTDOWN__DRAIN_SECONDS": "-1"}, "REELWIRE_SHUTDOWN__DRAIN_SECONDS: '-1'"),
        ({"REELWIRE_ASSETS__REUSE_HOURS": "0"}, "REELWIRE_ASSETS__REUSE_HOURS: '0'"),
        ({"REELWIRE_SOURCES__FILE_ROOTS": '["/a"'}, "REELWIRE_SOURCES__FILE_ROOTS: '[\"/a\"': neither a JSON list"),
        ({"REELWIRE_SOURCES__FILE_ROOTS": "[1]"}, "REELWIRE_SOURCES__FILE_ROOTS: 1: "),
        ({"REELWIRE_SOURCES__FILE_ROOTS": "videos"}, "REELWIRE_SOURCES__FILE_ROOTS: 'videos'"),
        ({"REELWIRE_SOURCES__OBJECT_PREFIXES": "http://x/"}, "REELWIRE_SOURCES__OBJECT_PREFIXES: 'http://x/'"),
        ({"REELWIRE_LOG__LEVEL": "TRACE"}, "REELWIRE_LOG__LEVEL: 'TRACE'"),
        ({"REELWIRE_LOG__FORMAT": "xml"}, "REELWIRE_LOG__FORMAT: 'xml'"),
        ({"REELWIRE_KAFKA": "xx"}, "REELWIRE_KAFKA: not a JSON object"),
        (
            {"REELWIRE_KAFKA__BOOTSTRAP_SERVER": "a:1"},
            "REELWIRE_KAFKA__BOOTSTRAP_SERVER: there is no such setting; is REELWIRE_KAFKA__BOOTSTRAP_SERVERS meant?",
        ),
        ({"REELWIRE_KAFAK__GROUP_ID": "a"}, "REELWIRE_KAFAK__GROUP_ID: there is no such setting; is REELWIRE_KAFKA__"),
        ({"REELWIRE_CONFIG": "/no/file.toml"}, "REELWIRE_CONFIG: /no/file.toml can't be read"),
    ],
)
def test_a_wrong_setting_stops_the_start_and_is_named(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], line: str
) -> None:
    give(monkeypatch, variables)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert line in str(caught.value)


def test_all_wrong_settings_are_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    give(monkeypatch, {"REELWIRE_HTTP__PORT": "x", "REELWIRE_LOG__LEVEL": "x", "REELWIRE_LOG__COLOUR": "x"})
    with pytest.raises(SettingsError) as caught:
        load_settings()
    named = {line.partition(":")[0] for line in str(caught.value).splitlines()}
    assert named == {"REELWIRE_HTTP__PORT", "REELWIRE_LOG__LEVEL", "REELWIRE_LOG__COLOUR"}


def test_an_error_never_shows_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    give(monkeypatch, {"REELWIRE_KAFKA__SASL_PASSWORD": "sasl-pass-word", "REELWIRE_KAFKA__GROUP_ID": ""})
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert "sasl-pass-word" not in str(caught.value)


@pytest.mark.parametrize(
    ("variable", "value", "line"),
    [
        (
            "REELWIRE_PLATFORM",
            '{"api_kee": "hunter2secret"}',
            "REELWIRE_PLATFORM: 'api_kee': there is no such setting; is REELWIRE_PLATFORM__API_KEY meant?",
        ),
        (
            "REELWIRE_KAFKA",
            '{"sasl_pasword": ["hunter2secret"], "port": {"a": "hunter2secret"}}',
            "REELWIRE_KAFKA: 'sasl_pasword': there is no such setting; is REELWIRE_KAFKA__SASL_PASSWORD meant?\n"
            "REELWIRE_KAFKA: 'port': there is no such setting",
        ),
        ("REELWIRE_KAFKA__SASL_PASWORD", "hunter2secret", "is REELWIRE_KAFKA__SASL_PASSWORD meant?"),
        ("REELWIRE_KAFKA", '["hunter2secret"]', "REELWIRE_KAFKA: must be a JSON object"),
        ("REELWIRE_KAFKA", '{"hunter2secret', "REELWIRE_KAFKA: not a JSON object"),
    ],
)
def test_a_secret_under_a_wrong_name_is_told_by_the_name_only(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, line: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert line in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("name", ["API_KEY", "api_kee"])
def test_a_name_of_a_file_that_is_spelled_wrong_is_told_once_and_without_its_value(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    path = configured(monkeypatch, tmp_path, f'[platform]\n{name} = "hunter2secret"\n')
    with pytest.raises(SettingsError) as caught:
        load_settings()
    line = f"{path}: platform.{name}: there is no such setting; is REELWIRE_PLATFORM__API_KEY meant?"
    assert str(caught.value) == line


def test_sasl_is_accepted_when_complete(monkeypatch: pytest.MonkeyPatch) -> None:
    give(monkeypatch, SASL)
    assert load_settings().kafka.sasl_mechanism == "SCRAM-SHA-512"


@pytest.mark.parametrize("value", ["/a,/b", " /a , /b ", '["/a", "/b"]'])
def test_lists_are_json_or_separated_by_commas(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("REELWIRE_SOURCES__FILE_ROOTS", value)
    assert load_settings().sources.file_roots == (Path("/a"), Path("/b"))


def test_a_file_is_read_and_the_environment_wins_over_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    configured(monkeypatch, tmp_path, '[kafka]\ngroup_id = "a"\nclient_id = "b"\n[sources]\nfile_roots = ["/a"]\n')
    monkeypatch.setenv("REELWIRE_KAFKA__CLIENT_ID", "c")
    settings = load_settings()
    assert (settings.kafka.group_id, settings.kafka.client_id) == ("a", "c")
    assert settings.sources.file_roots == (Path("/a"),)
    found = origins(Settings)
    assert found["REELWIRE_KAFKA__GROUP_ID"] == "file"
    assert found["REELWIRE_KAFKA__CLIENT_ID"] == "env"
    assert found["REELWIRE_HTTP__PORT"] == "default"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('[kafka]\ngroup_id = "a"\nclient_id = \n', ":3: not valid TOML"),
        ('[http]\nport = "x"\n', "REELWIRE_HTTP__PORT (in {path}: http.port): 'x'"),
        ("[http]\nprot = 1\n", "{path}: http.prot: there is no such setting; is REELWIRE_HTTP__PORT meant?"),
        ("[web]\nport = 1\n", "{path}: web: there is no such section"),
        ("http = 1\n", "{path}: http: is a section, write it as [http]"),
    ],
)
def test_a_wrong_file_is_named_with_the_place(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str, line: str
) -> None:
    path = configured(monkeypatch, tmp_path, text)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert line.format(path=path) in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_file_that_is_not_utf8_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = configured(monkeypatch, tmp_path, "")
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(SettingsError, match=r"REELWIRE_CONFIG: .* it is not UTF-8"):
        load_settings()


def test_the_platform_key_comes_from_its_setting_its_file_or_the_sdks_variable(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TWELVELABS_API_KEY", "from-sdk")
    assert load_settings().platform_api_key() == "from-sdk"
    path = tmp_path / "key"
    path.write_text("from-file\n", encoding="utf-8")
    monkeypatch.setenv("REELWIRE_PLATFORM__API_KEY_FILE", str(path))
    assert load_settings().platform_api_key() == "from-file"
    monkeypatch.delenv("REELWIRE_PLATFORM__API_KEY_FILE")
    monkeypatch.setenv("REELWIRE_PLATFORM__API_KEY", "from-setting")
    assert load_settings().platform_api_key() == "from-setting"


def test_an_empty_key_file_stops_the_start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text("\n", encoding="utf-8")
    monkeypatch.setenv("REELWIRE_PLATFORM__API_KEY_FILE", str(path))
    with pytest.raises(SettingsError, match=r"REELWIRE_PLATFORM__API_KEY_FILE: .* is empty"):
        load_settings()


@pytest.mark.parametrize(
    "variable", [name for name, (_, _, field) in members(Settings).items() if field.default is None]
)
def test_an_empty_variable_unsets_what_is_optional(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.setenv(variable, "")
    assert redacted(load_settings())[variable] is None


def test_printed_settings_hold_every_variable_and_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    give(monkeypatch, SASL | {"REELWIRE_PLATFORM__API_KEY": "platform-key", "REELWIRE_WEBHOOKS__SECRET": "hook-secret"})
    settings = load_settings()
    shown = redacted(settings)
    assert set(shown) == set(members(Settings))
    assert shown["REELWIRE_KAFKA__SASL_PASSWORD"] == shown["REELWIRE_PLATFORM__API_KEY"] == MASK
    for secret in ("sasl-pass-word", "platform-key", "hook-secret"):
        assert secret not in str(shown)
        assert secret not in repr(settings)
    assert secrets_of(settings) == {"sasl-pass-word", "platform-key", "hook-secret"}


def test_a_short_secret_of_notifications_is_refused_from_its_file_too(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "secrets"
    file.write_text("0123456789abcdef\n")
    monkeypatch.setenv("REELWIRE_INGEST__SECRET_FILE", str(file))
    settings = load_settings()
    assert settings.ingest_secret() == "0123456789abcdef"
    secrets = SigningSecrets(file, settings.ingest_secret)
    file.write_text("short\n")
    assert secrets.current() == ("0123456789abcdef",)  # goes on with what it knows
    with pytest.raises(SettingsError, match="REELWIRE_INGEST__SECRET_FILE: must have at least 16 characters"):
        load_settings()


@pytest.mark.parametrize("variable", members(Settings))
def test_every_setting_says_what_it_is_in_a_sentence(variable: str) -> None:
    _, _, field = members(Settings)[variable]
    assert field.description, f"{variable} has no description"
    assert field.description.endswith(".")


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        load_settings().http.port = 1  # type: ignore[misc]
