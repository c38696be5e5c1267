"""JSON Schemas (2020-12) of everything public, made from the models."""

from __future__ import annotations

from typing import Any

from contracts import deadletters, events
from contracts.codes import DeadLetterCode
from contracts.model import Message
from contracts.request_models import AnalyzeRequest, CancelRequest
from contracts.request_rules import REQUEST_RULES

Schema = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"

REQUESTS: dict[str, type[Message]] = {"analyze": AnalyzeRequest, "cancel": CancelRequest}
FRAGMENTS: dict[str, type[Message]] = {"fragment": events.Fragment}
COMPLETIONS: dict[str, type[Message]] = {
    "completed": events.Completed,
    "failed": events.Failed,
    "canceled": events.Canceled,
}
PROGRESS: dict[str, type[Message]] = {
    "accepted": events.Accepted,
    "uploading": events.Uploading,
    "asset_ready": events.AssetReady,
    "stream_started": events.StreamStarted,
    "task_created": events.TaskCreated,
    "task_status": events.TaskStatus,
    "retrying": events.Retrying,
    "waiting": events.Waiting,
    "handed_over": events.HandedOver,
    "interrupted": events.Interrupted,
    "duplicate": events.Duplicate,
    "cancel_ignored": events.CancelIgnored,
}
EVENTS = FRAGMENTS | COMPLETIONS | PROGRESS
DEAD_LETTER = "dead_letter_headers"

_NULL: Schema = {"type": "null"}
_TYPE = "Which message this is."


def all_schemas() -> dict[str, Schema]:
    """Every schema by its name, each complete in itself."""
    found = {name: request_schema(model) for name, model in REQUESTS.items()}
    found |= {name: event_schema(model) for name, model in EVENTS.items()}
    found[DEAD_LETTER] = dead_letter_schema()
    return {
        name: {"$schema": DIALECT, "$id": f"urn:reelwire:video-analysis:{name}:v1", **schema}
        for name, schema in found.items()
    }


def request_schema(model: type[Message]) -> Schema:
    """What a producer may send: optional members may be null, unknown ones may be there."""
    schema: Schema = _tidy(model.model_json_schema(mode="validation"), keep_title=True)
    schema["properties"]["type"]["description"] = _TYPE
    for name, member in schema["properties"].items():
        if name not in schema["required"] and _NULL not in member.get("anyOf", ()):
            about = {key: member.pop(key) for key in ("description", "default") if key in member}
            schema["properties"][name] = {"anyOf": [member, _NULL], **about}
    if model is AnalyzeRequest:
        schema["allOf"] = _analyze_rules()
    return schema


def event_schema(model: type[Message]) -> Schema:
    """What the service writes: every member is there, null where it does not apply."""
    schema: Schema = _tidy(model.model_json_schema(mode="serialization"), keep_title=True)
    schema["properties"]["type"]["description"] = _TYPE
    return schema


def dead_letter_schema() -> Schema:
    """The headers a dead letter has besides the original ones, their values as text."""
    number = {"type": "string", "pattern": "^-?[0-9]+$"}
    kinds: dict[str, Schema] = {
        deadletters.TOPIC: {
            "type": "string",
            "minLength": 1,
            "description": "The topic that the record was read from.",
        },
        deadletters.PARTITION: number | {"description": "Its partition there."},
        deadletters.OFFSET: number | {"description": "Its offset there."},
        deadletters.TIMESTAMP: number | {"description": "Milliseconds since the epoch."},
        deadletters.CODE: {
            "type": "string",
            "enum": [code.value for code in DeadLetterCode],
            "description": "Why it was refused, for programs.",
        },
        deadletters.MESSAGE: {"type": "string", "description": "Why, and what to do, for people."},
        deadletters.FAILED_AT: {"type": "string", "format": "date-time", "description": "When it was refused."},
        deadletters.SERVICE_VERSION: {
            "type": "string",
            "minLength": 1,
            "description": "The version of the service that refused it.",
        },
        deadletters.REDRIVE_COUNT: {
            "type": "string",
            "pattern": "^[0-9]+$",
            "description": "How many times it was sent again by `reelwire dlq redrive`; 0 for the first refusal.",
        },
        deadletters.LAST_OFFSET: number
        | {"description": "For a range of offsets whose records can't be read: the last of them."},
        deadletters.VALUE_SHA256: {
            "type": "string",
            "pattern": "^[0-9a-f]{64}$",
            "description": "For a dead letter without its value, which its topic would not take: of the value, in hex.",
        },
        deadletters.VALUE_SIZE: number | {"description": "Bytes of that value."},
    }
    return {
        "title": "DeadLetterHeaders",
        "description": "Headers of a dead letter, behind those of the original record.",
        "type": "object",
        "properties": kinds,
        "required": list(deadletters.HEADER_NAMES),
    }


def _analyze_rules() -> list[Schema]:
    """Which members go together, as far as a schema can say it; the models know some more."""
    found: list[Schema] = []
    for rule in REQUEST_RULES:
        if rule.schema is not None and rule.schema not in found:
            found.append(dict(rule.schema))
    return found


def _tidy(node: Any, *, keep_title: bool = False) -> Any:
    """Drop what says nothing: titles made from member names, null defaults, and OpenAPI's `discriminator`."""
    if isinstance(node, list):
        return [_tidy(item) for item in node]
    if not isinstance(node, dict):
        return node
    tidy: Schema = {}
    for key, value in node.items():
        if key in ("properties", "$defs"):
            tidy[key] = {name: _tidy(child, keep_title=key == "$defs") for name, child in value.items()}
        elif key == "discriminator" or (key == "default" and value is None):
            continue
        elif key != "title" or keep_title:
            tidy[key] = _tidy(value)
    return tidy
