"""What the platform's answers mean, as frozen values. Ids are opaque; unknown statuses are passed on as they are."""

from __future__ import annotations

from dataclasses import dataclass

from service.platform.marks import AssetMark


@dataclass(frozen=True, slots=True)
class Asset:
    """An uploaded video. `status`: processing, ready, failed (or one that was added later)."""

    id: str
    status: str
    duration: float | None = None
    """Seconds; known when ready."""
    size: int | None = None
    """Bytes; known when ready."""
    error_message: str | None = None
    created_at: float | None = None
    """Seconds since the epoch, by the platform's clock."""
    mark: AssetMark | None = None
    """What its metadata says of who made it, whether that is proven or not."""
    proven: bool = False
    """The mark was written with our API key."""
    method: str | None = None
    """How its bytes come: url, direct, multipart (an upload session), connector."""


@dataclass(frozen=True, slots=True)
class Analysis:
    """A finished analysis. A warning (cut at `max_tokens`, incomplete segments) is no failure."""

    text: str
    finish_reason: str | None = None
    generation_id: str | None = None
    output_tokens: int | None = None
    input_tokens: int | None = None
    warning_code: str | None = None
    warning_message: str | None = None


ENDED = frozenset({"ready", "failed", "canceled"})


@dataclass(frozen=True, slots=True)
class Task:
    """An asynchronous analysis. `status`: queued, pending, processing, ready, failed, canceled.

    `error_*` say why it failed or was canceled; what comes with a ready task is a warning inside `result`.
    """

    id: str
    status: str
    custom_id: str | None = None
    created_at: float | None = None
    """Seconds since the epoch, by the platform's clock."""
    error_code: str | None = None
    error_message: str | None = None
    result: Analysis | None = None
    video_seconds: float | None = None
    """Length of the video where the platform tells it."""
    completed_at: float | None = None
    """When it has ended, by the same clock."""
    batch_id: str | None = None

    @property
    def ended(self) -> bool:
        """No further change is to come."""
        return self.status in ENDED


@dataclass(frozen=True, slots=True)
class TaskPage:
    """Those tasks of a page of the list that were asked for."""

    tasks: list[Task]
    rows: int
    """How many tasks the page has."""
    more: bool
    """There is, or may be, a page behind it."""


@dataclass(frozen=True, slots=True)
class StreamStarted:
    """The generation has begun; from here on it may be billed."""

    generation_id: str | None


@dataclass(frozen=True, slots=True)
class StreamText:
    """Generated text: all that came in one network read, joined."""

    text: str


@dataclass(frozen=True, slots=True)
class StreamEnded:
    """The generation is complete. No event follows."""

    finish_reason: str | None = None
    generation_id: str | None = None
    output_tokens: int | None = None
    input_tokens: int | None = None
    warning_code: str | None = None
    warning_message: str | None = None


StreamEvent = StreamStarted | StreamText | StreamEnded
