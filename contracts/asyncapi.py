"""The AsyncAPI 3.1 document of the public topics, from the service's point of view.

It sends events and dead letters and receives requests. Schemas are plain JSON Schema without anything newer
than draft 7, so that they are AsyncAPI's own schema format too.
"""

from __future__ import annotations

from typing import Any

from contracts import schemas
from contracts.cloudevents import SPEC_VERSION, event_type
from contracts.examples import examples_of, headers_of, load
from contracts.topics import PUBLIC_ROLES, TOPICS, CleanupPolicy, Role, Topic

Document = dict[str, Any]

CONTRACT_VERSION = "1.0.0"
KAFKA_BINDING = "0.5.0"

PARTITIONER = (
    "A key is put into a partition by murmur2, Kafka's default (partitioner=murmur2_random in librdkafka): a cancel, "
    "or an id sent again, must reach the partition of the first request."
)

_MESSAGES: dict[Role, tuple[str, ...]] = {
    Role.REQUESTS: tuple(schemas.REQUESTS),
    Role.FRAGMENTS: tuple(schemas.FRAGMENTS),
    Role.COMPLETIONS: tuple(schemas.COMPLETIONS),
    Role.PROGRESS: tuple(schemas.PROGRESS),
    Role.DEAD_LETTERS: ("dead_letter",),
}


def document() -> Document:
    """The whole document."""
    shapes, components = _components()
    return {
        "asyncapi": "3.1.0",
        "info": {
            "title": "Reelwire: video analysis",
            "version": CONTRACT_VERSION,
            "description": f"{PARTITIONER} Requests for video analysis, and what answers them: fragments, progress and "
            "completions.",
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {
            "kafka": {
                "host": "{host}:{port}",
                "protocol": "kafka",
                "description": "Apache Kafka, as in REELWIRE_KAFKA__BOOTSTRAP_SERVERS.",
                "variables": {"host": {"default": "localhost"}, "port": {"default": "9092"}},
            }
        },
        "channels": {role.value: _channel(TOPICS[role]) for role in PUBLIC_ROLES},
        "operations": {_operation_name(role): _operation(role) for role in PUBLIC_ROLES},
        "components": {"messages": {name: _message(name) for name in shapes}, "schemas": components},
    }


def _channel(topic: Topic) -> Document:
    policy = ["compact", "delete"] if topic.cleanup_policy is CleanupPolicy.COMPACT_AND_DELETE else None
    return {
        "address": topic.default_name,
        "title": topic.role.value,
        "summary": topic.summary,
        "description": f"Renamed by REELWIRE_TOPICS__{topic.role.name}.",
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in _MESSAGES[topic.role]},
        "bindings": {
            "kafka": {
                "topicConfiguration": {"cleanup.policy": policy or [topic.cleanup_policy.value]},
                "bindingVersion": KAFKA_BINDING,
            }
        },
    }


def _operation_name(role: Role) -> str:
    return f"{'receive' if role is Role.REQUESTS else 'send'}{''.join(word.title() for word in role.split('_'))}"


def _operation(role: Role) -> Document:
    return {
        "action": "receive" if role is Role.REQUESTS else "send",
        "channel": {"$ref": f"#/channels/{role.value}"},
        "summary": TOPICS[role].summary,
        "messages": [{"$ref": f"#/channels/{role.value}/messages/{name}"} for name in _MESSAGES[role]],
    }


def _message(name: str) -> Document:
    message: Document = {
        "name": name,
        "title": name.replace("_", " "),
        "contentType": "application/json",
        "bindings": {"kafka": {"key": _key(name), "bindingVersion": KAFKA_BINDING}},
    }
    if name == "dead_letter":
        return message | {
            "summary": "A record that is no request; its value is whatever was sent.",
            "contentType": "application/octet-stream",
            "headers": {"$ref": f"#/components/schemas/{schemas.DEAD_LETTER}"},
            "payload": {"description": "The original value, byte for byte."},
            "examples": [_dead_letter_example()],
        }
    examples = [_example(name, label, payload) for label, payload in examples_of(name).items()]
    message |= {
        "summary": _summary(name),
        "correlationId": {"location": "$message.payload#/request_id"},
        "payload": {"$ref": f"#/components/schemas/{name}"},
        "examples": examples,
    }
    if name not in schemas.REQUESTS:
        message["headers"] = {
            "allOf": [
                {"$ref": "#/components/schemas/event_headers"},
                {"type": "object", "properties": {"ce_type": {"const": event_type(name)}}},
            ]
        }
    return message


def _example(name: str, label: str, payload: Document) -> Document:
    headers = {} if name in schemas.REQUESTS else {"headers": headers_of(payload)}
    return {"name": label, **headers, "payload": payload}


def _dead_letter_example() -> Document:
    record = load("records")["dead_letter"]
    return {"name": "dead_letter", "headers": record["headers"], "payload": record["value"]}


def _key(name: str) -> Document:
    if name in schemas.REQUESTS:
        return {
            "type": "string",
            "description": f"{PARTITIONER} Kept on everything published for the request; may be left out.",
        }
    if name == "dead_letter":
        return {"type": "string", "description": "The original key, byte for byte."}
    return {"type": "string", "description": "The request's key, else its request_id."}


def _summary(name: str) -> str:
    return str((schemas.REQUESTS | schemas.EVENTS)[name].__doc__).strip().splitlines()[0]


def _components() -> tuple[list[str], dict[str, Document]]:
    """The names of the messages, and every schema they need, side by side."""
    found: dict[str, Document] = {"event_headers": _event_headers()}
    for name, schema in schemas.all_schemas().items():
        whole = {key: value for key, value in schema.items() if key not in ("$schema", "$id")}
        for shared, definition in whole.pop("$defs", {}).items():
            hoisted = _relocate(definition)
            if found.setdefault(shared, hoisted) != hoisted:
                raise ValueError(f"two different schemas are called {shared}")
        found[name] = _relocate(whole)
    return [name for names in _MESSAGES.values() for name in names], found


def _event_headers() -> Document:
    text = {"type": "string", "minLength": 1}
    return {
        "title": "EventHeaders",
        "description": "A CloudEvent in binary mode, and the trace context of its request.",
        "type": "object",
        "properties": {
            "content-type": {"const": "application/json"},
            "ce_specversion": {"const": SPEC_VERSION},
            "ce_id": text
            | {"description": "Together with ce_source it tells repetitions: keep the first record of each pair."},
            "ce_source": text | {"description": "Which service: `reelwire/` and the name of its requests topic."},
            "ce_type": text | {"description": "com.reelwire.video.analysis., the member `type`, .v1"},
            "ce_subject": text | {"description": "The request id."},
            "ce_time": {"type": "string", "format": "date-time", "description": "The member `time`."},
            "traceparent": text | {"description": "W3C trace context."},
            "tracestate": text | {"description": "W3C trace context."},
        },
        "required": ["content-type", "ce_specversion", "ce_id", "ce_source", "ce_type", "ce_subject", "ce_time"],
    }


def _relocate(node: Any) -> Any:
    if isinstance(node, list):
        return [_relocate(item) for item in node]
    if not isinstance(node, dict):
        return node
    moved = {key: _relocate(value) for key, value in node.items()}
    if isinstance(moved.get("$ref"), str):
        moved["$ref"] = moved["$ref"].replace("#/$defs/", "#/components/schemas/")
    return moved
