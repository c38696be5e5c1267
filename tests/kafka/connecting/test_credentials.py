"""Tokens and secrets as the clients of a process share them."""

from __future__ import annotations

from pathlib import Path

import pytest
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    KafkaConnectionError,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
)

from service.errors import SettingsError
from service.kafka.connecting.credentials import security_options
from service.kafka.connecting.refusals import missing_right, reading_words, refusal, tells_of_missing_right
from service.kafka.connecting.tokens import TokenProvider, TokenRefused
from service.settings import KafkaSettings

pytestmark = pytest.mark.unit


class Provider(TokenProvider):
    """Gives `t1`, `t2` and so on, each good for 100 s, or refuses."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1_000.0
        self.given = 0
        self.refusing = False

    async def fetch(self) -> tuple[str, float]:
        if self.refusing:
            raise TokenRefused("the token server is away")
        self.given += 1
        return f"t{self.given}", 100.0

    def _now(self) -> float:  # type: ignore[override]
        return self.now


async def test_a_token_is_kept_for_most_of_its_time() -> None:
    provider = Provider()
    assert [await provider.token(), await provider.token()] == ["t1", "t1"]
    provider.now += 79
    assert await provider.token() == "t1"
    provider.now += 2
    assert await provider.token() == "t2"


async def test_a_token_server_that_is_away_costs_nothing_while_the_token_is_good() -> None:
    provider = Provider()
    await provider.token()
    provider.refusing = True
    provider.now += 95
    assert await provider.token() == "t1"
    provider.now += 6
    with pytest.raises(TokenRefused):
        await provider.token()
    provider.refusing = False
    assert await provider.token() == "t2"


def test_a_secret_that_is_being_replaced_leaves_the_last_one_in_use(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("first-one")
    settings = KafkaSettings(security_protocol="SASL_PLAINTEXT", sasl_username="me", sasl_password_file=file)
    assert security_options(settings)["sasl_plain_password"] == "first-one"
    file.unlink()
    assert security_options(settings)["sasl_plain_password"] == "first-one"
    file.write_text("")
    assert security_options(settings)["sasl_plain_password"] == "first-one"
    file.write_text("second-one")
    assert security_options(settings)["sasl_plain_password"] == "second-one"


def test_a_secret_that_was_never_there_stops_the_start(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("")
    settings = KafkaSettings(security_protocol="SASL_PLAINTEXT", sasl_username="me", sasl_password_file=file)
    with pytest.raises(SettingsError, match=r"SASL_PASSWORD_FILE: .* is empty"):
        security_options(settings)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (TopicAuthorizationFailedError({"b", "a"}), "the right WRITE on topic a, b is missing"),
        (TopicAuthorizationFailedError(), "the right READ on the topic is missing, which an offset"),
        (GroupAuthorizationFailedError("g"), "the right READ on group g is missing"),
        (TransactionalIdAuthorizationFailed("g-0"), "the right WRITE on transactional id g-0 is missing"),
        (ClusterAuthorizationFailedError(), "the right IDEMPOTENT_WRITE on the cluster is missing"),
    ],
)
def test_a_right_that_is_missing_is_named_with_operation_and_resource(error: Exception, words: str) -> None:
    outer = RuntimeError("outer")
    outer.__cause__ = error
    named = missing_right(outer, "WRITE")
    assert named is not None
    assert named.startswith(words)
    assert tells_of_missing_right(f"the writer died: {named}")


def test_another_error_tells_of_no_right() -> None:
    assert missing_right(KafkaConnectionError("closed"), "READ") is None
    assert reading_words(KafkaConnectionError("closed")) == "closed"
    assert not tells_of_missing_right("the writer died: fenced by a newer producer")
    assert refusal(KafkaSettings(), KafkaConnectionError("closed")) is None
