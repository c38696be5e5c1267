"""The committed contract is the one of the models, and an independent validator agrees with them."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator, Draft202012Validator

from contracts import generate
from contracts.asyncapi import document
from contracts.codes import DeadLetterCode, ErrorCode
from contracts.examples import load
from contracts.requests import RejectedRecord, parse_request
from contracts.schemas import DEAD_LETTER, EVENTS, REQUESTS, all_schemas
from contracts.topics import PUBLIC_ROLES, TOPICS

pytestmark = pytest.mark.unit

SCHEMAS = all_schemas()


def validator(name: str) -> Draft202012Validator:
    return Draft202012Validator(SCHEMAS[name], format_checker=Draft202012Validator.FORMAT_CHECKER)


def nodes(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        yield node
        for child in node.values():
            yield from nodes(child)
    elif isinstance(node, list):
        for child in node:
            yield from nodes(child)


def resolve(whole: dict[str, Any], reference: str) -> Any:
    assert reference.startswith("#/")
    target: Any = whole
    for part in reference[2:].split("/"):
        target = target[part.replace("~1", "/").replace("~0", "~")]
    return target


def test_nothing_committed_has_drifted_from_the_models() -> None:
    assert generate.check() == []


def test_every_kind_of_drift_is_told(tmp_path: Path) -> None:
    assert sorted(tmp_path.rglob("*")) == []
    written = generate.export(tmp_path)
    assert generate.check(tmp_path) == []
    assert {path.relative_to(tmp_path).as_posix() for path in written} == set(generate.render())

    (tmp_path / "asyncapi.json").unlink()
    (tmp_path / "schemas" / "fragment.schema.json").write_text("{}")
    (tmp_path / "schemas" / "old.schema.json").write_text("{}")

    assert generate.check(tmp_path) == [
        "schemas/fragment.schema.json differs from the models",
        "asyncapi.json is missing",
        "schemas/old.schema.json belongs to no model",
    ]
    generate.export(tmp_path)
    assert generate.check(tmp_path) == []


def test_there_is_a_schema_for_every_message_and_each_is_a_schema() -> None:
    assert set(SCHEMAS) == {*REQUESTS, *EVENTS, DEAD_LETTER}
    for schema in SCHEMAS.values():
        Draft202012Validator.check_schema(schema)
        for node in nodes(schema):
            if isinstance(node.get("$ref"), str):
                assert isinstance(resolve(schema, node["$ref"]), dict)


def test_every_member_of_an_event_is_required() -> None:
    for name, model in EVENTS.items():
        assert set(SCHEMAS[name]["required"]) == set(model.model_fields), name


@pytest.mark.parametrize("kind", ["requests", "events"])
def test_every_example_is_valid_for_an_independent_validator(kind: str) -> None:
    for name, example in load(kind).items():
        message = example.get("type", "analyze")
        assert [error.message for error in validator(message).iter_errors(example)] == [], name


def test_every_message_has_an_example() -> None:
    shown = {example.get("type", "analyze") for kind in ("requests", "events") for example in load(kind).values()}

    assert shown == {*REQUESTS, *EVENTS}


def test_the_headers_of_the_example_dead_letter_are_valid() -> None:
    validator(DEAD_LETTER).validate(load("records")["dead_letter"]["headers"])


@pytest.mark.parametrize("name", load("invalid"))
def test_an_invalid_example_is_refused_with_its_code_and_member(name: str) -> None:
    example = load("invalid")[name]
    if "base64" in example:
        value = base64.b64decode(example["base64"])
    else:
        value = example["text"].encode() if "text" in example else json.dumps(example["value"]).encode()

    with pytest.raises(RejectedRecord) as refused:
        parse_request(value, (), max_bytes=1 << 20)

    assert refused.value.code == example["code"]
    assert refused.value.message.startswith(f"{example['names']}: ")


@pytest.mark.parametrize("name", [name for name, example in load("invalid").items() if example["code"] == "invalid"])
def test_the_schema_refuses_what_the_models_refuse(name: str) -> None:
    assert not validator("analyze").is_valid(load("invalid")[name]["value"])


def test_every_reference_of_the_asyncapi_document_resolves() -> None:
    whole = document()

    references = [node["$ref"] for node in nodes(whole) if isinstance(node.get("$ref"), str)]

    assert len(references) > 50
    assert all(isinstance(resolve(whole, reference), dict) for reference in references)


def test_the_document_describes_every_public_topic_and_no_private_one() -> None:
    whole = document()

    assert whole["asyncapi"] == "3.1.0"
    assert {channel["address"] for channel in whole["channels"].values()} == {
        TOPICS[role].default_name for role in PUBLIC_ROLES
    }
    for channel in whole["channels"].values():
        assert channel["bindings"]["kafka"]["topicConfiguration"]["cleanup.policy"] == ["delete"]


def test_every_channel_has_one_operation_over_all_its_messages() -> None:
    whole = document()

    operations = list(whole["operations"].values())

    assert {operation["channel"]["$ref"] for operation in operations} == {
        f"#/channels/{name}" for name in whole["channels"]
    }
    assert [name for name, operation in whole["operations"].items() if operation["action"] == "receive"] == [
        "receiveRequests"
    ]
    for operation in operations:
        channel = resolve(whole, operation["channel"]["$ref"])
        assert len(operation["messages"]) == len(channel["messages"]) > 0


def test_the_messages_of_the_document_are_the_messages_of_the_models_with_their_headers() -> None:
    messages = document()["components"]["messages"]

    assert set(messages) == {*REQUESTS, *EVENTS, "dead_letter"}
    for name in EVENTS:
        _, own = messages[name]["headers"]["allOf"]
        assert own["properties"]["ce_type"]["const"] == f"com.reelwire.video.analysis.{name}.v1"
    for name in (*REQUESTS, *EVENTS):
        assert messages[name]["examples"]


def test_the_schemas_of_the_document_need_nothing_newer_than_draft_7_and_take_the_examples() -> None:
    whole = document()
    newer = {"prefixItems", "dependentRequired", "dependentSchemas", "unevaluatedProperties", "discriminator", "$defs"}
    for node in nodes(whole["components"]["schemas"]):
        assert not newer & node.keys()
    for name in (*REQUESTS, *EVENTS):
        schema = {"$ref": f"#/components/schemas/{name}", "components": whole["components"]}
        for example in whole["components"]["messages"][name]["examples"]:
            Draft7Validator(schema).validate(example["payload"])


@pytest.mark.parametrize("name", [*ErrorCode, *DeadLetterCode, *(topic.default_name for topic in TOPICS.values())])
def test_the_page_of_the_contract_lists_every_code_and_topic(name: str) -> None:
    page = (generate.GENERATED.parent / "README.md").read_text(encoding="utf-8")

    assert f"`{name}`" in page


def test_producers_are_told_first_how_a_key_finds_its_partition() -> None:
    whole = document()

    assert "murmur2" in whole["info"]["description"]
    assert "murmur2" in whole["components"]["messages"]["analyze"]["bindings"]["kafka"]["key"]["description"]
    assert all("murmur2" in SCHEMAS[name]["description"] for name in ("analyze", "cancel"))
