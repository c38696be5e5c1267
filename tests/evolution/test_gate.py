"""What a release took is taken, its readers understand today's events; and a change that breaks that is seen."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from contracts.events import parse_event
from contracts.examples import load
from contracts.request_rules import RULES
from contracts.requests import RejectedRecord, parse_request
from contracts.schemas import EVENTS, REQUESTS, all_schemas
from tests.evolution import gate
from tests.support.request_table import breaking

pytestmark = pytest.mark.unit

RELEASES = gate.releases()
TODAY = all_schemas()
Schema = dict[str, Any]


def valid(schema: Schema, value: Any) -> list[str]:
    """What a validator that is not ours has against a value."""
    return [error.message for error in Draft202012Validator(schema).iter_errors(value)]


def parse(value: Any) -> None:
    parse_request(json.dumps(value).encode(), (), max_bytes=1 << 20)


def test_the_contract_agrees_with_every_release(capsys: pytest.CaptureFixture[str]) -> None:
    assert gate.main() == 0
    assert "0.1.0" in capsys.readouterr().out


@pytest.mark.parametrize("release", RELEASES)
def test_requests_of_a_release_are_taken(release: str) -> None:
    examples = gate.released_examples(release, "requests")
    assert len(examples) >= 10
    for name, request in examples.items():
        parse(request)
        assert valid(TODAY[request.get("type", "analyze")], request) == [], name


@pytest.mark.parametrize("release", RELEASES)
def test_readers_of_a_release_understand_events_of_today(release: str) -> None:
    schemas, read = gate.released_schemas(release), set()
    for name, event in load("events").items():
        if event["type"] in schemas:
            assert valid(schemas[event["type"]], event) == [], name
            read.add(event["type"])
    assert read == schemas.keys() & EVENTS.keys()


@pytest.mark.parametrize("release", RELEASES)
def test_readers_of_today_understand_events_of_a_release(release: str) -> None:
    for event in gate.released_examples(release, "events").values():
        parse_event(json.dumps(event).encode())


@pytest.mark.parametrize("release", RELEASES)
def test_what_a_rule_of_today_refuses_and_the_release_did_not_is_listed_with_its_reason(release: str) -> None:
    then, now = (Draft202012Validator(schemas["analyze"]) for schemas in (gate.released_schemas(release), TODAY))
    samples = {f"{rule.path}: {rule.words}": breaking(rule) for rule in RULES if rule.example}
    narrowed = {name for name, sample in samples.items() if then.is_valid(sample) and not now.is_valid(sample)}

    assert narrowed == set(json.loads((gate.RELEASED / "exceptions.json").read_text())[release]["narrowed"])


def test_every_exception_has_its_reason() -> None:
    for release in RELEASES:
        assert all(len(one.why) > 20 for one in gate.accepted(release))


def changed(name: str, change: Callable[[Schema], object]) -> list[str]:
    """What the gate says of one schema when it is changed."""
    schema, release = copy.deepcopy(TODAY[name]), RELEASES[0]
    change(schema)
    return gate.broken_schemas({name: gate.released_schemas(release)[name]}, {name: schema}, gate.accepted(release))


MODES: list[str] = ["stream", "sync", "async", "auto"]
BREAKING: dict[str, tuple[str, Callable[[Schema], object]]] = {
    "a member becomes required": ("analyze", lambda s: s["required"].append("prompt")),
    "a new member is required": ("analyze", lambda s: s["required"].append("priority")),
    "a value is taken no more": ("analyze", lambda s: s["properties"]["mode"]["anyOf"][0]["enum"].remove("sync")),
    "a range is narrower": ("analyze", lambda s: s["properties"]["temperature"]["anyOf"][0].update(maximum=0.5)),
    "a pattern is another": ("analyze", lambda s: s["$defs"]["UrlVideo"]["properties"]["url"].update(pattern="^a$")),
    "a judged pattern is another": ("cancel", lambda s: s["properties"]["request_id"].update(pattern="^[a-z]+$")),
    "a rule is added": ("analyze", lambda s: s["allOf"].append({"required": ["prompt"]})),
    "null is taken no more": ("analyze", lambda s: s["properties"].update(mode={"enum": MODES})),
    "unknown members are refused": ("analyze", lambda s: s.update(additionalProperties=False)),
    "a type of video is taken no more": ("analyze", lambda s: s["$defs"]["AssetVideo"].update({"not": {}})),
    "a member of an event is gone": ("completed", lambda s: s["required"].remove("text")),
    "a member of an event may be anything": ("fragment", lambda s: s["properties"].update(text={})),
    "a member of an event is of another type": ("accepted", lambda s: s["properties"]["attempt"].update(type="string")),
    "a status is new": ("task_status", lambda s: s["properties"].update(status={"type": "integer"})),
    "a code is gone": ("failed", lambda s: s["$defs"]["ErrorCode"]["enum"].remove("rejected")),
    "a header may be missing": ("dead_letter_headers", lambda s: s["required"].remove("dlq.error.code")),
}  # fmt: skip

HARMLESS: dict[str, tuple[str, Callable[[Schema], object]]] = {
    "a member is added to requests": ("analyze", lambda s: s["properties"].update(colour={"type": "integer"})),
    "a member is added to events": ("completed", lambda s: s["properties"].update(colour={"type": "integer"})),
    "an added member is always there": ("completed", lambda s: s["required"].append("colour")),
    "a range is wider": ("analyze", lambda s: s["properties"]["temperature"]["anyOf"][0].update(maximum=9)),
    "a value is taken in addition": ("analyze", lambda s: s["properties"]["mode"]["anyOf"][0]["enum"].append("later")),
    "a code is added": ("failed", lambda s: s["$defs"]["ErrorCode"]["enum"].append("tired")),
    "the words are others": ("analyze", lambda s: s["properties"]["mode"].update(description="Other words")),
}


@pytest.mark.parametrize("name", BREAKING)
def test_a_change_that_breaks_the_contract_is_seen(name: str) -> None:
    message, change = BREAKING[name]
    lines = changed(message, change)
    assert lines
    assert all(line.startswith(message) for line in lines)


@pytest.mark.parametrize("name", HARMLESS)
def test_a_change_that_breaks_nothing_is_let_through(name: str) -> None:
    assert changed(*HARMLESS[name]) == []


def test_a_message_or_topic_that_is_gone_is_seen() -> None:
    without = {name: schema for name, schema in TODAY.items() if name != "interrupted"}
    assert gate.check(without) == ["since 0.1.0: interrupted: the message is gone"]
    topic = {
        "channels": {"a": {"address": "a.v1", "messages": {"x": {}, "y": {}}}, "b": {"address": "b.v1", "messages": {}}}
    }
    less = {"channels": {"a": {"address": "a.v1", "messages": {"x": {}}}}}
    assert gate.broken_topics(topic, less) == ["a.v1: y is gone", "b.v1: the topic is gone"]


def test_an_exception_without_a_difference_is_taken_off_the_list() -> None:
    old = {"analyze": {"type": "object", "properties": {"a": {"type": "string", "pattern": "^a$"}}}}
    judged = [gate.Accepted("analyze", "/properties/a/pattern", "why", now="^a$")]
    (line,) = gate.broken_schemas(old, old, judged)
    assert "take it off the list" in line


def test_ids_that_a_release_took_are_taken_but_for_those_that_are_listed() -> None:
    for request_id in ("cam7-918273", "A_b-9", "7", "x" * 64, "0__--__"):
        parse({"request_id": request_id, "video": {"type": "asset_id", "asset_id": "a"}, "prompt": "p"})
    for request_id in ("_a", "-a"):
        with pytest.raises(RejectedRecord):
            parse({"request_id": request_id, "video": {"type": "asset_id", "asset_id": "a"}, "prompt": "p"})


def test_all_kinds_of_requests_are_gated() -> None:
    assert all(REQUESTS.keys() <= gate.released_schemas(release).keys() for release in RELEASES)
