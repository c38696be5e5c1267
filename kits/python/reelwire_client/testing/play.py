"""The records of one request, written as a story: `Play("cam7-1").accepted().text("A car").cut().text("A van.")`."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any, Self

from reelwire_client.events import TOPICS
from reelwire_client.records import Record, headers_of

_BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
_STAGES = {
    "source_not_allowed": "request",
    "source_not_found": "request",
    "source_unreadable": "request",
    "mode_not_possible": "request",
    "deadline_exceeded": "request",
    "budget_exceeded": "request",
    "asset_failed": "upload",
    "upload_failed": "upload",
}
_MEMBERS: dict[str, dict[str, Any]] = {
    "uploading": {"bytes_sent": 0, "bytes_total": None, "route": None},
    "asset_ready": {"asset_id": "asset-1", "duration": None, "reused": False},
    "task_created": {"task_id": "task-1"},
    "task_status": {"status": "processing"},
    "retrying": {"reason": "rate limited", "delay_seconds": 1},
    "waiting": {"reason": "quota"},
    "duplicate": {"same_body": True},
    "cancel_ignored": {"reason": "finished"},
}
"""What progress of a type says beside the common members, unless the test says otherwise."""


class Play:
    """Each method adds what the service would publish, and returns the play. `records()` is all of it, in order.

    Every value is valid by the contract's schemas, and the same in each run. `partition` and `offset` are the place of
    the request's record.
    """

    def __init__(
        self,
        request_id: str,
        *,
        partition: int = 0,
        offset: int = 0,
        run: int = 1,
        metadata: dict[str, Any] | None = None,
        tenant: str | None = None,
        key: bytes | None = None,
    ) -> None:
        self.request_id, self.partition, self.offset, self.run = request_id, partition, offset, run
        self.metadata, self.tenant = metadata, tenant
        self.key = request_id.encode() if key is None else key
        self.attempt = 1
        self.ended = False
        self._pieces: list[str] = []
        self._records: list[Record] = []
        self._offsets: dict[str, int] = {}
        self._completion: Record | None = None

    def records(self) -> list[Record]:
        """All records so far, in the order in which a reader gets them."""
        return list(self._records)

    def accepted(self) -> Self:
        """The request is durable."""
        return self.progress("accepted")

    def progress(self, kind: str, **members: Any) -> Self:
        """Progress of any type; members that are not given have some value."""
        return self._event("progress", kind, {**_MEMBERS.get(kind, {}), **members})

    def text(self, *pieces: str) -> Self:
        """Fragments of the present attempt, one for each piece."""
        for piece in pieces:
            self._fragment(self.attempt, len(self._pieces), piece)
            self._pieces.append(piece)
        return self

    def cut(self) -> Self:
        """The attempt is cut off, and the next one begins as the service begins it: with an empty fragment."""
        self.progress("interrupted")
        self.attempt += 1
        self._pieces.clear()
        return self.text("")

    def stray(self, attempt: int, sequence: int, text: str) -> Self:
        """A fragment by a process that was frozen, or one that comes twice."""
        return self._fragment(attempt, sequence, text)

    def completed(self, *, ahead_of: int = 0, **members: Any) -> Self:
        """The result, with the text of the present attempt; `ahead_of`: how many of the last fragments follow it."""
        text = members.get("text", "".join(self._pieces))
        usage = {
            "input_tokens": None,
            "output_tokens": None,
            "video_seconds": None,
            "billed_minutes": None,
            "estimated_cost": None,
            "currency": None,
        }
        timings = {"queued": None, "upload": None, "analysis": None, "first_fragment": None, "total": None}
        body = {
            "mode": "stream" if self._pieces else "sync",
            "text": text,
            "data": None,
            "data_error": None,
            "finish_reason": "stop",
            "warning": None,
            "usage": usage,
            "generation_id": None,
            "asset_id": None,
            "task_id": None,
            "batch_id": None,
            "fragments": len(self._pieces),
            "timeline": None,
            "timings": timings,
        }
        return self._end("completed", {**body, **members}, ahead_of)

    def failed(
        self,
        code: str = "rejected",
        message: str = "The platform refused the request.",
        *,
        retryable: bool = False,
        platform: dict[str, Any] | None = None,
    ) -> Self:
        """The end without a result."""
        error = {
            "code": code,
            "message": message,
            "stage": _STAGES.get(code, "analysis"),
            "retryable": retryable,
            "platform": platform,
        }
        return self._end("failed", {"error": error})

    def canceled(self, reason: str = "asked for") -> Self:
        """The end by a cancellation."""
        return self._end("canceled", {"reason": reason})

    def repeated(self) -> Self:
        """The completion once more, byte for byte, as after a second request with the same id."""
        if self._completion is None:
            raise ValueError(f"{self.request_id} has no completion that could be repeated")
        self._put("completions", self._completion.value, self._completion.headers)
        return self

    def refused(self, code: str = "invalid", message: str = "prompt is missing", value: bytes = b"{}") -> Self:
        """The request becomes a dead letter: there is no completion."""
        headers = {
            "dlq.original.topic": TOPICS["requests"],
            "dlq.original.partition": str(self.partition),
            "dlq.original.offset": str(self.offset),
            "dlq.original.timestamp": "1767225600000",
            "dlq.error.code": code,
            "dlq.error.message": message,
            "dlq.failed_at": self._time(),
            "dlq.service.version": "0.1.0",
            "dlq.redrive.count": "0",
        }
        self._put("dead_letters", value, headers_of(headers))
        return self

    def _fragment(self, attempt: int, sequence: int, text: str) -> Self:
        body = {"sequence": sequence, "text": text, "generation_id": None}
        return self._event("fragments", "fragment", body, attempt, f"fragment-{attempt}-{sequence}")

    def _end(self, kind: str, members: dict[str, Any], ahead_of: int = 0) -> Self:
        self._event("completions", kind, members, name="completion")
        self._completion = record = self._records[-1]
        if ahead_of:
            self._records.pop()
            fragments = [at for at, one in enumerate(self._records) if one.topic == TOPICS["fragments"]]
            self._records.insert(fragments[-ahead_of:][0] if fragments else len(self._records), record)
        self.ended = True
        return self

    def _event(self, role: str, kind: str, members: dict[str, Any], attempt: int | None = None, name: str = "") -> Self:
        attempt = self.attempt if attempt is None else attempt
        time = self._time()
        body: dict[str, Any] = {
            "type": kind, "request_id": self.request_id, "run": self.run, "attempt": attempt, "time": time
        }  # fmt: skip
        if role != "fragments":
            body |= {"metadata": self.metadata, "tenant": self.tenant}
        identifier = name or f"{kind}-{attempt}-{len(self._records)}"
        headers = {
            "content-type": "application/json",
            "ce_specversion": "1.0",
            "ce_id": f"{self.partition}-{self.offset}-{self.request_id}-{self.run}-{identifier}",
            "ce_source": f"reelwire/{TOPICS['requests']}",
            "ce_type": f"com.reelwire.video.analysis.{kind}.v1",
            "ce_subject": self.request_id,
            "ce_time": time,
        }
        value = json.dumps(body | members, ensure_ascii=False, separators=(",", ":")).encode()
        self._put(role, value, headers_of(headers))
        return self

    def _put(self, role: str, value: bytes | None, headers: tuple[tuple[str, bytes | None], ...]) -> None:
        offset = self._offsets[role] = self._offsets.get(role, -1) + 1
        self._records.append(Record(self.partition, value, headers, self.key, TOPICS[role], offset))

    def _time(self) -> str:
        moment = _BEGIN + timedelta(milliseconds=len(self._records))
        return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"
