"""Worked examples: what producers send, what the service answers, and what it refuses.

`requests/` and `events/` hold messages as they are on the wire, `records/` whole records with their headers,
and `invalid/` records that go to the dead letters, with the code and the member the message names.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from contracts.cloudevents import event_headers, event_type
from contracts.topics import TOPICS, Role

DIRECTORY = Path(__file__).parent


# The end of `ce_id`: what tells the events of one record apart. Readers compare ids and take nothing from them.
_ID_ENDS = {
    "fragment": "fragment-1-0",
    "completed": "completion",
    "failed": "completion",
    "canceled": "completion",
    "uploading": "uploading-1-1795418117236-4194304",
    "asset_ready": "asset_ready-1-66f0a1b2c3d4e5f601234567",
    "task_status": "task_status-1-processing-0",
    "retrying": "retrying-1-1795418117236",
    "waiting": "waiting-1-quota-1795418117236",
    "handed_over": "handed_over-1-1795418117236",
    "duplicate": "duplicate",
    "cancel_ignored": "cancel_ignored",
}


def load(kind: str) -> dict[str, Any]:
    """The examples of one folder by their name, in order."""
    files = sorted((DIRECTORY / kind).glob("*.json"))
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in files}


def examples_of(message: str) -> dict[str, Any]:
    """The examples whose `type` is `message`."""
    return {
        name: example
        for kind in ("requests", "events")
        for name, example in load(kind).items()
        if example.get("type", "analyze") == message
    }


def headers_of(event: dict[str, Any]) -> dict[str, str]:
    """The headers with which an example of `events/` is published, for a request of partition 3 and offset 4711."""
    kind = event["type"]
    headers = event_headers(
        event_type=event_type(kind),
        event_id=f"3-4711-{_ID_ENDS.get(kind, f'{kind}-1')}",
        source=f"reelwire/{TOPICS[Role.REQUESTS].default_name}",
        subject=event["request_id"],
        time=event["time"],
    )
    return {name: value.decode() for name, value in headers}
