"""Worked examples: what producers send, what the service answers, and what it refuses.

`requests/` and `events/` hold messages as they are on the wire, `records/` whole records with their headers,
and `invalid/` records that go to the dead letters, with the code and the member the message names.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

DIRECTORY = Path(__file__).parent


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
