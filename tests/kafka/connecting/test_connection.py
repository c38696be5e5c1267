from __future__ import annotations

from pathlib import Path

import pytest
from aiokafka.errors import KafkaConnectionError
from aiokafka.protocol.metadata import MetadataRequest
from pydantic import SecretStr

from service.errors import SettingsError
from service.kafka.connecting.broker_connection import BrokerConnection
from service.kafka.connecting.connection import (
    client_options,
    largest_record_bytes,
    producer_options,
    transactional_options,
)
from service.settings import KafkaSettings

pytestmark = pytest.mark.unit


def test_several_addresses_are_given_as_a_list() -> None:
    options = client_options(KafkaSettings(bootstrap_servers="a:1, b:2"))
    assert options["bootstrap_servers"] == ["a:1", "b:2"]


def test_without_sasl_and_tls_no_option_of_theirs_is_given() -> None:
    options = client_options(KafkaSettings())
    assert not [name for name in options if name.startswith(("sasl", "ssl"))]


def test_sasl_over_tls_gives_credentials_and_a_context_that_verifies() -> None:
    options = client_options(
        KafkaSettings(
            security_protocol="SASL_SSL",
            sasl_mechanism="SCRAM-SHA-512",
            sasl_username="me",
            sasl_password=SecretStr("secret"),
        )
    )
    assert (options["sasl_mechanism"], options["sasl_plain_username"]) == ("SCRAM-SHA-512", "me")
    assert options["sasl_plain_password"] == "secret"
    assert options["ssl_context"].check_hostname


def test_an_unreadable_certificate_is_a_wrong_setting(tmp_path: Path) -> None:
    nonsense = tmp_path / "ca.pem"
    nonsense.write_text("not a certificate")
    with pytest.raises(SettingsError, match=r"KAFKA__SSL"):
        client_options(KafkaSettings(security_protocol="SSL", ssl_cafile=nonsense))


def test_a_producer_takes_the_largest_dead_letter_and_loses_no_acknowledgement() -> None:
    settings = KafkaSettings(max_message_bytes=100_000)
    options = producer_options(settings)
    assert options["max_request_size"] == largest_record_bytes(settings) == 100_000 + 65_536
    assert options["max_batch_size"] <= 100_000
    assert options["enable_idempotence"]
    assert options["acks"] == "all"


def test_each_partition_has_an_identity_of_its_own_within_the_group() -> None:
    settings = KafkaSettings(group_id="cams")
    identities = {transactional_options(settings, partition)["transactional_id"] for partition in range(3)}
    assert identities == {"cams-0", "cams-1", "cams-2"}


async def test_to_ask_for_a_topic_never_makes_it() -> None:
    asked = MetadataRequest(["deleted"])
    connection = BrokerConnection("nowhere", 1)
    with pytest.raises(KafkaConnectionError):
        connection.send(asked)
    assert asked.prepare({asked.API_KEY: (0, 5)}).allow_auto_topic_creation is False
