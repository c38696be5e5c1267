"""One request with everything that is known of it."""

from __future__ import annotations

from typing import Any

import orjson

from service.console.model.cursor import cursor_of
from service.console.model.entry import Entry, row_of
from service.console.model.request import shown_request
from service.console.model.spans import spans_of
from service.telemetry.redaction import KNOWN, clean_members


def detail_of(entry: Entry, process: str | None, completion: dict[str, Any] | None) -> dict[str, Any]:
    """The answer of `GET /api/jobs/{id}`, with its `completion_of`. Secrets are taken out."""
    request = shown_request(entry.request)
    end = entry.end
    return row_of(entry, process) | {
        "prompt": None if request is None else request.get("prompt"),
        "video": None if request is None else request.get("video"),
        "request": request,
        "progress": [clean_members(step.as_json()) for step in entry.steps],
        "spans": [
            span.as_json()
            for span in spans_of(
                entry.steps,
                accepted_ms=entry.accepted_ms,
                ended_ms=None if end is None else end.time_ms,
                mode=entry.mode,
            )
        ],
        "completion": completion,
        "segments": _segments(completion),
        "duration_s": entry.duration_s,
        "text": text_of(entry, completion),
        "text_let_go": end is None and entry.text.lost,
        "cursor": str(cursor_of(entry)),
    }


def completion_of(entry: Entry) -> dict[str, Any] | None:
    """The completion as published, without secrets; when it was let go of, what is left of it with `let_go`.

    May be called in a thread: an `End` never changes. Of thousands of segments it takes a tenth of a second.
    """
    end = entry.end
    if end is None:
        return None
    found = None if end.raw is None else shown_completion(end.raw)
    if found is not None:
        return found
    error = {"code": end.code, "message": end.message} if end.type == "failed" else None
    return {
        "type": end.type,
        "request_id": entry.id,
        "run": entry.run,
        "attempt": end.attempt,
        "error": clean_members(error),
        "text": None,
        "let_go": True,
    }


def shown_completion(raw: bytes) -> dict[str, Any] | None:
    """A completion as published, without secrets; None when it is none."""
    event = orjson.loads(raw)
    text = event.pop("text", None) if isinstance(event, dict) else None
    cleaned = clean_members(event)
    if not isinstance(cleaned, dict):
        return None
    # What was generated is shown as it is: a video may well show something that looks like a password.
    return cleaned | ({"text": KNOWN.masked(text)} if isinstance(text, str) else {})


def text_of(entry: Entry, completion: dict[str, Any] | None) -> str | None:
    """The text: of the completion, else what was generated so far; None when there is none, or it was let go of."""
    if completion is not None:
        text = completion.get("text")
        return text if isinstance(text, str) else None
    if entry.text.lost or not entry.text.fragments:
        return None
    return KNOWN.masked(entry.text.whole())


def _segments(completion: dict[str, Any] | None) -> list[dict[str, Any]]:
    timeline = completion.get("timeline") if completion is not None else None
    if not isinstance(timeline, list):
        return []
    return [
        {
            "start_s": entry.get("start_time"),
            "end_s": entry.get("end_time"),
            "label": entry.get("definition"),
            "detail": {
                name: value
                for name, value in (
                    ("started_at", entry.get("started_at")),
                    ("ended_at", entry.get("ended_at")),
                    *((entry.get("fields") or {}).items()),
                )
                if value is not None
            },
        }
        for entry in timeline
        if isinstance(entry, dict)
    ]
