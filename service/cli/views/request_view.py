"""The state of one request, from its events: current attempt, text so far, result. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from contracts.deadletters import CODE, MESSAGE, OFFSET, PARTITION
from contracts.topics import Role
from service.cli.reading.output_record import OutputRecord, describe

ChangeKind = Literal["text", "attempt", "upload", "note", "end"]


@dataclass(frozen=True, slots=True)
class Change:
    """A change to show. `text` is new text of the answer, or a line about what happened."""

    kind: ChangeKind
    text: str


@dataclass(slots=True)
class RequestView:
    """Updated by `apply` with each event. `partition` and `offset` are those of the request's own record."""

    request_id: str
    partition: int
    offset: int
    attempt: int = 0
    text: str = ""
    next_sequence: int = 0
    phase: str = "submitted"
    upload: tuple[int, int | None] | None = None
    completion: dict[str, Any] | None = None
    dead_letter: dict[str, str] | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def ended(self) -> bool:
        return self.completion is not None or self.dead_letter is not None

    @property
    def succeeded(self) -> bool:
        return self.completion is not None and self.completion.get("type") == "completed"

    def apply(self, event: OutputRecord) -> list[Change]:
        """Apply one event of any request. Events of other requests and of older attempts change nothing."""
        if self.ended:
            return []
        if event.role is Role.DEAD_LETTERS:
            return self._dead_letter(event)
        if event.request_id != self.request_id:
            return []
        if event.role is Role.COMPLETIONS:
            return self._completion(event)
        if event.role is Role.FRAGMENTS:
            return self._fragment(event)
        return self._progress(event)

    def _newer(self, event: OutputRecord) -> list[Change]:
        """Begin again if the event has a higher attempt: the text of the attempt before does not count."""
        if event.attempt <= self.attempt:
            return []
        had_text, self.attempt, self.text, self.next_sequence = bool(self.text), event.attempt, "", 0
        return [Change("attempt", f"attempt {event.attempt} begins again")] if had_text else []

    def _fragment(self, event: OutputRecord) -> list[Change]:
        if event.attempt < self.attempt:
            return []  # from a process that lost the partition and did not know it
        changes = self._newer(event)
        sequence, text = event.body.get("sequence"), str(event.body.get("text", ""))
        if not isinstance(sequence, int) or sequence < self.next_sequence:
            return changes
        if sequence > self.next_sequence:
            text = "…" + text  # reading began in the middle of the attempt; the completion has the whole text
        self.phase, self.next_sequence, self.text = "streaming", sequence + 1, self.text + text
        return [*changes, Change("text", text)]

    def _progress(self, event: OutputRecord) -> list[Change]:
        if event.type == "interrupted":
            self.phase = "interrupted"
            return self._noted(describe(event))
        changes = self._newer(event)
        if event.type == "uploading":
            sent, total = event.body.get("bytes_sent"), event.body.get("bytes_total")
            self.upload = (sent if isinstance(sent, int) else 0, total if isinstance(total, int) else None)
            self.phase = "uploading"
            return [*changes, Change("upload", describe(event))]
        self.phase = event.type.replace("_", " ")
        if event.type == "task_status":
            self.phase = f"task {event.body.get('status')}"
        return [*changes, *self._noted(describe(event))]

    def _noted(self, line: str) -> list[Change]:
        self.notes.append(line)
        return [Change("note", line)]

    def _completion(self, event: OutputRecord) -> list[Change]:
        self.completion, self.phase = event.body, event.type
        changes: list[Change] = []
        whole = event.body.get("text")
        if isinstance(whole, str) and whole != self.text:
            # The completion may be read before the last fragments. It holds the whole text.
            if not whole.startswith(self.text):
                changes.append(Change("attempt", "the whole text"))
                self.text = ""
            changes.append(Change("text", whole[len(self.text) :]))
            self.text = whole
        self.attempt = max(self.attempt, event.attempt)
        return [*changes, Change("end", describe(event))]

    def _dead_letter(self, event: OutputRecord) -> list[Change]:
        place = (event.headers.get(PARTITION), event.headers.get(OFFSET))
        if place != (str(self.partition), str(self.offset)):
            return []
        self.dead_letter, self.phase = event.headers, "dead letter"
        return [Change("end", describe(event))]


def summary(view: RequestView) -> list[tuple[str, str]]:
    """The result of a request as rows of name and value."""
    if view.dead_letter is not None:
        return [
            ("result", "dead letter"),
            ("code", view.dead_letter.get(CODE, "")),
            ("message", view.dead_letter.get(MESSAGE, "")),
        ]
    body = view.completion or {}
    rows: list[tuple[str, object]] = [("result", body.get("type")), ("attempt", body.get("attempt"))]
    error = body.get("error") or {}
    rows += [(name, error.get(name)) for name in ("stage", "code", "message")]
    rows += [(name, body.get(name)) for name in ("reason", "mode", "finish_reason", "asset_id", "task_id", "fragments")]
    rows.append(("data error", body.get("data_error")))
    rows.append(("warning", (body.get("warning") or {}).get("message")))
    rows += [(name.replace("_", " "), value) for name, value in (body.get("usage") or {}).items()]
    rows += [
        (f"{name.replace('_', ' ')} time", f"{value:.2f} s")
        for name, value in (body.get("timings") or {}).items()
        if isinstance(value, int | float)
    ]
    return [(name, str(value)) for name, value in rows if value is not None]
