"""The reference page of all messages, from the AsyncAPI document: topics, headers, members and an example of each."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from contracts.asyncapi import document
from contracts.schemas import DEAD_LETTER, REQUESTS

Table = Callable[[Sequence[str], Iterable[Sequence[str]]], str]
Schema = dict[str, Any]

_INTRODUCTION = (
    "The public topics, and what is in them. This page is made from the AsyncAPI document "
    "`contracts/generated/asyncapi.json`, which programs can read; `contracts/generated/schemas/` has a JSON Schema "
    "for each message.\n\n"
    "Values are JSON in UTF-8. Members that do not apply are null, never absent; later versions may add members. "
    "Every event is a CloudEvent in binary mode: its attributes are headers. Header names and values are bytes; here "
    "they are shown as text. A request's `traceparent` and `tracestate` are on everything that is published for it.\n"
)


def messages_page(note: str, table: Table) -> str:
    """The page. `note` says that it is generated; `table` writes a table. `ValueError` for a member without words."""
    whole = document()
    parts = [f"# Messages\n\n{note}\n{_INTRODUCTION}\n"]
    parts.append(
        table(("topic", "what", "messages"), (_channel_row(channel) for channel in whole["channels"].values()))
    )
    parts.append(f"\n## Headers of every event\n\n{table(('header', '', 'what'), _headers(whole))}")
    for channel in whole["channels"].values():
        parts.append(f"\n## {channel['address']}\n\n{channel['summary']} {channel['description']}\n")
        parts.extend(_message(name, whole, table) for name in channel["messages"])
    return "".join(parts)


def _channel_row(channel: Schema) -> Sequence[str]:
    messages = ", ".join(f"[`{name}`](#{name})" for name in channel["messages"])
    return f"`{channel['address']}`", channel["summary"], messages


def _headers(whole: Schema) -> Iterator[Sequence[str]]:
    schema = whole["components"]["schemas"]["event_headers"]
    for name, header in schema["properties"].items():
        always = "always" if name in schema["required"] else "if the request has it"
        what = f"`{header['const']}`" if "const" in header else header.get("description", "")
        yield f"`{name}`", always, what


def _message(name: str, whole: Schema, table: Table) -> str:
    message = whole["components"]["messages"][name]
    schemas = whole["components"]["schemas"]
    key = message["bindings"]["kafka"]["key"]["description"]
    parts = [f"\n### {name}\n\n{message['summary']}\n\nKey: {key}\n\n"]
    if name in REQUESTS and name == "analyze":
        described(name, schemas[name], schemas)
        parts.append("Members, ranges and rules: [what a request may ask for](requests.md).\n")
    elif name == "dead_letter":
        parts.append(table(("header", "type", "what"), described(name, schemas[DEAD_LETTER], schemas)))
    else:
        parts.append(table(("member", "type", "what"), described(name, schemas[name], schemas)))
    parts.extend(_example(example, name) for example in message["examples"])
    return "".join(parts)


def described(name: str, schema: Schema, schemas: Schema) -> list[Sequence[str]]:
    """The rows of a message's members: name, type, words. `ValueError` names a member that has no words."""
    rows = list(_members(schema, schemas))
    for member, _, words in rows:
        if not words:
            raise ValueError(f"{member} of the message {name} has no description: say in its model what it is")
    return rows


def _members(schema: Schema, schemas: Schema, prefix: str = "") -> Iterator[Sequence[str]]:
    """The members of an object, and below each those of an object of ours that it holds."""
    for name, member in schema.get("properties", {}).items():
        kinds: dict[str, None] = {}
        below: list[Schema] = []
        for option in member.get("anyOf", [member]):
            target = _resolved(option, schemas)
            item = _resolved(target.get("items", {}), schemas)
            kinds[_kind(target, item)] = None
            below.extend(one for one in (target, item) if "properties" in one)
        yield f"`{prefix}{name}`", " or ".join(kinds), " ".join(member.get("description", "").split())
        for target in below:
            mark = "[]" if "list" in " ".join(kinds) else ""
            yield from _members(target, schemas, f"{prefix}{name}{mark}.")


def _resolved(schema: Schema, schemas: Schema) -> Schema:
    reference = schema.get("$ref")
    return schemas[reference.rsplit("/", 1)[1]] if isinstance(reference, str) else schema


def _kind(schema: Schema, item: Schema) -> str:
    if "const" in schema:
        return f"`{schema['const']}`"
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    kind = str(schema.get("type", "any JSON"))
    if kind == "array":
        return f"list of {_kind(item, {})}s"
    return (
        "time (RFC 3339)"
        if schema.get("format") == "date-time"
        else {"object": "object", "string": "text"}.get(kind, kind)
    )


def _example(example: Schema, name: str) -> str:
    title = example["name"].replace("_", " ")
    headers = "".join(f"{header}: {value}\n" for header, value in example.get("headers", {}).items())
    value = json.dumps(example["payload"], indent=2, ensure_ascii=False)
    shown = f"```text\n{headers}```\n\n" if headers else ""
    kind = "Headers and value" if headers else "Value"
    return f'\n??? example "{title}"\n\n' + _indented(f"{kind}:\n\n{shown}```json\n{value}\n```\n")


def _indented(text: str) -> str:
    return "".join(f"    {line}\n" if line else "\n" for line in text.splitlines())
