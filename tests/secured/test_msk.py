"""Amazon MSK: tokens of Amazon's own signer, and what a broker would see of them."""

from __future__ import annotations

import base64
import sys
import time
from types import SimpleNamespace
from urllib.parse import parse_qs, urlsplit

import pytest

from service.errors import SettingsError
from service.kafka.connecting.connection import AccessRefused
from service.kafka.connecting.credentials import security_options
from service.kafka.connecting.tokens import MskTokens, TokenRefused
from service.settings import KafkaSettings
from tests.secured.broker import SecuredBroker
from tests.secured.conftest import OptionsOf, settings_of
from tests.secured.test_modes import answered

BROKERS = (
    "b-1.cams.a1b2c3.c2.kafka.eu-central-1.amazonaws.com:9098,b-2.cams.a1b2c3.c2.kafka.eu-central-1.amazonaws.com:9098"
)


@pytest.fixture(autouse=True)
def no_aws(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-a-real-secret")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


def _settings(servers: str = BROKERS) -> KafkaSettings:
    return KafkaSettings(bootstrap_servers=servers, security_protocol="SASL_SSL", sasl_mechanism="AWS_MSK_IAM")


@pytest.mark.unit
async def test_a_token_is_a_signed_request_to_connect_in_the_region_that_the_brokers_names_tell() -> None:
    options = security_options(_settings())
    assert options["sasl_mechanism"] == "OAUTHBEARER"
    provider = options["sasl_oauth_token_provider"]
    token = await provider.token()
    url = urlsplit(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode())
    query = parse_qs(url.query)
    assert url.hostname == "kafka.eu-central-1.amazonaws.com"
    assert query["Action"] == ["kafka-cluster:Connect"]
    assert query["X-Amz-Credential"][0].startswith("AKIDEXAMPLE/")
    assert query["X-Amz-Signature"]
    assert await provider.token() == token, "kept until most of its time is over"


@pytest.mark.unit
def test_a_region_that_nothing_tells_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError, match="AWS_REGION: is needed"):
        security_options(_settings("kafka.example.com:9098"))
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    assert security_options(_settings("kafka.example.com:9098"))


@pytest.mark.unit
def test_without_the_extra_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "aws_msk_iam_sasl_signer", None)
    with pytest.raises(SettingsError, match=r"pip install 'reelwire\[msk\]'"):
        MskTokens("eu-central-1")


@pytest.mark.unit
async def test_without_credentials_of_aws_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    with pytest.raises(TokenRefused, match=r"no token could be signed for Amazon MSK in eu-central-1.*AWS credentials"):
        await MskTokens("eu-central-1").token()


@pytest.mark.integration
async def test_a_broker_is_given_the_signers_token_and_refuses_a_forged_one(
    secured: SecuredBroker, options_of: OptionsOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The broker checks tokens of our test in place of Amazon's: the way there and back is the same."""
    asked: list[str] = []

    def generate_auth_token(region: str) -> tuple[str, int]:
        asked.append(region)
        return secured.tokens.token(60), int((time.time() + 60) * 1000)

    signer = SimpleNamespace(MSKAuthTokenProvider=SimpleNamespace(generate_auth_token=generate_auth_token))
    monkeypatch.setitem(sys.modules, "aws_msk_iam_sasl_signer", signer)
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    options = options_of("TLS") | {"security_protocol": "SASL_SSL", "sasl_mechanism": "AWS_MSK_IAM"}
    options["bootstrap_servers"] = secured.address("LOGIN")
    assert await answered(settings_of(options))
    assert await answered(settings_of(options))
    assert asked == ["eu-west-1"]

    monkeypatch.setattr(secured.tokens, "forged", True)
    with pytest.raises(AccessRefused, match=r"the broker refuses our token.*IAM policy"):
        await answered(settings_of(options | {"client_id": "another"}))
