"""The least rights of the contract, as they are printed."""

from __future__ import annotations

import pytest

from service.kafka.rights.least import (
    as_commands,
    as_strimzi,
    console_rights,
    default_principal,
    ingest_rights,
    least_rights,
    rights_with_checks,
)
from service.settings import ConsoleSettings, KafkaSettings, QuotaSettings, Settings

pytestmark = pytest.mark.unit

BOTH = {"completions", "jobs", "finished", "assets", "handovers", "ledger"}


def _short(name: str) -> str:
    return name.removeprefix("video.analysis.").removesuffix(".v1")


def test_they_are_those_of_the_contract() -> None:
    rights = least_rights(Settings())
    topics = [right for right in rights if right.kind == "topic"]
    assert {_short(right.name) for right in topics if right.operation == "READ"} == BOTH | {"requests"}
    written = {_short(right.name) for right in topics if right.operation == "WRITE"}
    assert written == BOTH | {"fragments", "progress", "requests.v1.dlq"}
    assert [str(right) for right in rights if right.kind != "topic"] == [
        "READ on group reelwire",
        "WRITE on transactional ids that begin with reelwire-",
    ]
    assert len(rights) == 18


def test_transactions_and_the_ledger_are_asked_for_where_they_are_used() -> None:
    plain = Settings(kafka=KafkaSettings(delivery="at_least_once"))
    assert "transactional id" not in {right.kind for right in least_rights(plain)}
    limited = Settings(quota=QuotaSettings(requests_per_minute=60))
    (needless,) = [right for right in least_rights(Settings()) if not right.required]
    assert (needless.operation, _short(needless.name)) == ("WRITE", "ledger")
    assert not [right for right in least_rights(limited) if not right.required]


def test_a_command_grants_all_operations_on_one_resource() -> None:
    settings = Settings(kafka=KafkaSettings(bootstrap_servers="a:1,b:2", group_id="cams"))
    lines = as_commands(least_rights(settings), settings.kafka.bootstrap_servers, "User:CN=cams,O=Example Corp")
    begin = "kafka-acls.sh --bootstrap-server a:1,b:2 --add --allow-principal 'User:CN=cams,O=Example Corp'"
    assert f"{begin} --operation Read --operation Write --topic video.analysis.jobs.v1" in lines
    assert lines[-1] == f"{begin} --operation Write --transactional-id cams- --resource-pattern-type prefixed"
    assert len(lines) == 12
    checked = as_commands(rights_with_checks(settings), "a:1", "User:x")
    assert sum("DescribeConfigs" in line for line in checked) == 10


def test_the_principal_is_the_user_of_the_login() -> None:
    kafka = KafkaSettings(security_protocol="SASL_PLAINTEXT", sasl_username="cams", sasl_password="secret")
    assert default_principal(Settings(kafka=kafka)) == "User:cams"
    assert default_principal(Settings()) == "User:reelwire"


def test_strimzi_is_told_the_same() -> None:
    acls = as_strimzi(least_rights(Settings()))
    assert acls[-1] == {
        "resource": {"type": "transactionalId", "name": "reelwire-", "patternType": "prefix"},
        "operations": ["Write"],
        "host": "*",
    }
    assert sum(len(acl["operations"]) for acl in acls) == 18


def test_the_console_only_reads_unless_it_has_a_token() -> None:
    rights = console_rights(Settings())
    assert {right.operation for right in rights} == {"READ", "DESCRIBE"}
    read = {"requests", "fragments", "completions", "progress", "requests.v1.dlq", "jobs"}
    assert {_short(right.name) for right in rights if right.kind == "topic"} == read
    acting = console_rights(Settings(console=ConsoleSettings(token="a-token-of-a-console")))
    written = {_short(right.name) for right in acting if right.operation == "WRITE"}
    assert written == {"requests", "requests.v1.dlq"}
    line = as_commands(acting, "a:1", "User:console")[-1]
    assert line.endswith("--operation Describe --group reelwire")


def test_ingest_reads_notifications_and_writes_requests_and_dead_letters_alone() -> None:
    rights = ingest_rights(Settings(), ["bucket-events", "frigate"], "cams")
    assert {(right.operation, _short(right.name)) for right in rights if right.kind == "topic"} == {
        ("READ", "requests"),
        ("WRITE", "requests"),
        ("WRITE", "requests.v1.dlq"),
        ("READ", "bucket-events"),
        ("READ", "frigate"),
    }
    assert [str(right) for right in rights if right.kind != "topic"] == [
        "READ on group cams",
        "WRITE on transactional id cams",
    ]
    assert all(right.required for right in rights)
    lines = as_commands(rights, "a:1", "User:ingest")
    assert len(lines) == 6
    assert lines[0].endswith("--operation Read --operation Write --topic video.analysis.requests.v1")
    assert lines[-1].endswith("--operation Write --transactional-id cams")
