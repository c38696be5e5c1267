"""A record of the output topics, and a description of it in words."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import orjson

from contracts.deadletters import CODE, DISCARD_OF, DISCARD_REASON, HEADER_NAMES, MESSAGE, Header
from contracts.topics import Role
from service.cli.reading.dead_letter import readable_name

PUBLISHED = (Role.FRAGMENTS, Role.PROGRESS, Role.COMPLETIONS, Role.DEAD_LETTERS)
"""The output topics, in the order in which records of the same time are shown."""

_WAITS = {
    "quota": "the account's quota is used up for now",
    "turn": "others are first",
    "order": "an earlier request of the same key runs",
    "batch": "for more requests to send together",
    "paused": "the operator has paused this work",
}


@dataclass(frozen=True, slots=True)
class OutputRecord:
    """One record. `body` is the event. A dead letter has an empty body; its `headers` give the reason."""

    role: Role
    partition: int
    offset: int
    timestamp_ms: int
    key: str | None
    body: dict[str, Any]
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def type(self) -> str:
        if self.role is not Role.DEAD_LETTERS:
            return str(self.body.get("type"))
        return "discarded" if CODE not in self.headers and DISCARD_OF in self.headers else "dead_letter"

    @property
    def request_id(self) -> str | None:
        found = self.body.get("request_id")
        return found if isinstance(found, str) else None

    @property
    def run(self) -> int:
        """Which run of the request it is about; 0 for a dead letter, which does not say it."""
        # Events of the first version have no run: they are of run 1.
        found = self.body.get("run", 0 if self.role is Role.DEAD_LETTERS else 1)
        return found if isinstance(found, int) else 0

    @property
    def attempt(self) -> int:
        found = self.body.get("attempt")
        return found if isinstance(found, int) else 0

    def as_json(self) -> dict[str, object]:
        """The object that `--json` prints."""
        place = {"role": self.role.value, "partition": self.partition, "offset": self.offset, "key": self.key}
        if self.type == "discarded":
            return place | {"discarded": {name: self.headers.get(name) for name in (DISCARD_OF, DISCARD_REASON)}}
        if self.role is Role.DEAD_LETTERS:
            return place | {
                "dead_letter": {name: value for name, value in self.headers.items() if name in HEADER_NAMES}
            }
        return place | {"event": self.body}


def seen(
    role: Role,
    partition: int,
    offset: int,
    timestamp_ms: int,
    key: bytes | None,
    value: bytes | None,
    headers: Iterable[Header],
) -> OutputRecord:
    """Decode a record. The body is empty if the value is not a JSON object, and for dead letters."""
    body: Any = {}
    if role is not Role.DEAD_LETTERS and value is not None:
        try:
            body = orjson.loads(value)
        except orjson.JSONDecodeError:
            body = {}
    return OutputRecord(
        role=role,
        partition=partition,
        offset=offset,
        timestamp_ms=timestamp_ms,
        key=None if key is None else key.decode("utf-8", "replace"),
        body=body if isinstance(body, dict) else {},
        headers={readable_name(name): (text or b"").decode("utf-8", "replace") for name, text in headers},
    )


def describe(event: OutputRecord) -> str:
    """The event in a few words, without its request id."""
    body = event.body
    match event.type:
        case "dead_letter":
            return f"dead letter: {event.headers.get(CODE)}: {event.headers.get(MESSAGE)}"
        case "discarded":
            return f"the dead letter {event.headers.get(DISCARD_OF)} was discarded"
        case "fragment":
            return str(body.get("text", ""))
        case "uploading":
            total = body.get("bytes_total")
            return f"uploading {megabytes(body.get('bytes_sent'))}" + (f" of {megabytes(total)}" if total else "")
        case "asset_ready":
            length = body.get("duration")
            how = "reused" if body.get("reused") else "uploaded"
            return f"asset {body.get('asset_id')} is ready, {how}" + (f", {length:.1f} s long" if length else "")
        case "task_created":
            return f"task {body.get('task_id')} created"
        case "task_status":
            return f"task is {body.get('status')}"
        case "stream_started":
            return "stream started"
        case "retrying":
            return f"retrying in {body.get('delay_seconds')} s: {body.get('reason')}"
        case "waiting":
            return f"waiting: {_WAITS.get(str(body.get('reason')), body.get('reason'))}"
        case "interrupted":
            return f"attempt {event.attempt} was interrupted"
        case "duplicate":
            same = "with the same body" if body.get("same_body") else "with another body"
            return f"the id is known: a duplicate {same}, nothing new is started"
        case "cancel_ignored":
            return f"cancel ignored: {body.get('reason')}"
        case "completed":
            return f"completed ({body.get('mode')}), {len(body.get('text') or '')} characters"
        case "failed":
            error = body.get("error") or {}
            return f"failed at {error.get('stage')}: {error.get('code')}: {error.get('message')}"
        case "canceled":
            return f"canceled: {body.get('reason')}"
        case other:
            return other


def megabytes(count: object) -> str:
    """A number of bytes as text, in MB of 1,000,000 bytes."""
    return f"{count / 1e6:.1f} MB" if isinstance(count, int) else "?"
