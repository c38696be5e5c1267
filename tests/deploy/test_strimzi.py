"""Strimzi's topics are those of `reelwire topics create`, and its users have the least rights of the contract."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from pydantic import SecretStr

from contracts.topics import Role
from service.kafka.rights.least import as_strimzi, console_rights, ingest_rights
from service.kafka.topics.plan import plan_topics
from service.settings import ConsoleSettings, Settings

pytestmark = pytest.mark.unit

FOLDER = Path(__file__).parents[2] / "deploy" / "strimzi"

# What Strimzi's resources of version v1 may hold, as far as we use them.
META = {
    "type": "object",
    "additionalProperties": False,
    "required": ["name", "labels"],
    "properties": {
        "name": {"type": "string", "pattern": r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$", "maxLength": 253},
        "labels": {"type": "object", "required": ["strimzi.io/cluster"]},
    },
}
OPERATIONS = ["Read", "Write", "Create", "Delete", "Alter", "Describe", "ClusterAction", "AlterConfigs"]
OPERATIONS += ["DescribeConfigs", "IdempotentWrite", "All"]
SPECS: dict[str, dict[str, Any]] = {
    "KafkaTopic": {
        "type": "object",
        "additionalProperties": False,
        "required": ["partitions", "replicas"],
        "properties": {
            "partitions": {"type": "integer", "minimum": 1},
            "replicas": {"type": "integer", "minimum": 1, "maximum": 32767},
            "config": {"type": "object", "additionalProperties": {"type": "string"}},
            "topicName": {"type": "string"},
        },
    },
    "KafkaUser": {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "authentication": {
                "type": "object",
                "additionalProperties": False,
                "required": ["type"],
                "properties": {"type": {"enum": ["tls", "tls-external", "scram-sha-512"]}},
            },
            "authorization": {
                "type": "object",
                "additionalProperties": False,
                "required": ["type", "acls"],
                "properties": {
                    "type": {"const": "simple"},
                    "acls": {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "additionalProperties": False,
                            "required": ["resource", "operations"],
                            "properties": {
                                "resource": {
                                    "type": "object",
                                    "additionalProperties": False,
                                    "required": ["type", "name", "patternType"],
                                    "properties": {
                                        "type": {"enum": ["topic", "group", "cluster", "transactionalId"]},
                                        "name": {"type": "string"},
                                        "patternType": {"enum": ["literal", "prefix"]},
                                    },
                                },
                                "operations": {"type": "array", "items": {"enum": OPERATIONS}, "minItems": 1},
                            },
                        },
                    },
                },
            },
        },
    },
}

READ = {Role.REQUESTS, Role.JOBS, Role.FINISHED, Role.ASSETS, Role.HANDOVERS, Role.LEDGER, Role.COMPLETIONS}
WRITTEN = set(Role) - {Role.REQUESTS}


def _load(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((FOLDER / name).read_text(encoding="utf-8")))


@pytest.mark.parametrize("name", sorted(path.name for path in FOLDER.glob("*.yaml")))
def test_the_resources_are_as_strimzi_takes_them(name: str) -> None:
    for found in _load(name):
        assert found.keys() == {"apiVersion", "kind", "metadata", "spec"}
        assert found["apiVersion"] == "kafka.strimzi.io/v1"
        jsonschema.validate(found["metadata"], META)
        jsonschema.validate(found["spec"], SPECS[found["kind"]])


def test_the_topics_are_those_that_the_command_creates() -> None:
    plans = {plan.name: plan for plan in plan_topics(Settings())}
    topics = {found["metadata"]["name"]: found["spec"] for found in _load("topics.yaml")}

    assert topics.keys() == plans.keys()
    for name, spec in topics.items():
        assert spec["partitions"] == plans[name].partitions
        assert spec["replicas"] == 3
        assert spec["config"] == {**plans[name].configs, "min.insync.replicas": "2"}


def test_the_user_has_the_least_rights_and_no_more() -> None:
    settings = Settings()
    wanted = {("topic", getattr(settings.topics, role.value), "literal", "Read") for role in READ}
    wanted |= {("topic", getattr(settings.topics, role.value), "literal", "Write") for role in WRITTEN}
    wanted |= {("group", settings.kafka.group_id, "literal", "Read")}
    wanted |= {("transactionalId", f"{settings.kafka.group_id}-", "prefix", "Write")}

    [user] = _load("user.yaml")
    granted = {
        (acl["resource"]["type"], acl["resource"]["name"], acl["resource"]["patternType"], operation)
        for acl in user["spec"]["authorization"]["acls"]
        for operation in acl["operations"]
    }

    assert {right for right in granted if right[3] != "DescribeConfigs"} == wanted
    assert {right[1] for right in granted if right[3] == "DescribeConfigs"} == {
        getattr(settings.topics, role.value) for role in Role
    }


def _sorted(acls: list[dict[str, Any]]) -> list[tuple[str, str, str, list[str]]]:
    return sorted((*acl["resource"].values(), acl["operations"]) for acl in acls)


def _granted(name: str) -> list[tuple[str, str, str, list[str]]]:
    """The rights in a file, without the host: any is Strimzi's default."""
    [user] = _load(name)
    return _sorted(user["spec"]["authorization"]["acls"])


def test_the_users_of_ingest_and_console_have_what_the_command_prints() -> None:
    acting = Settings(console=ConsoleSettings(token=SecretStr("a-token-of-a-console")))

    assert _granted("ingest-user.yaml") == _sorted(
        as_strimzi(ingest_rights(Settings(), ["bucket-events"], "reelwire-ingest"))
    )
    assert _granted("console-user.yaml") == _sorted(as_strimzi(console_rights(acting)))
