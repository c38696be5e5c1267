"""What the platform's answers mean, as frozen values. Ids are opaque; unknown statuses are passed on as they are."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Asset:
    """An uploaded video. `status`: processing, ready, failed (or a word of the future)."""

    id: str
    status: str
    filename: str | None = None
    duration: float | None = None
    """Seconds; known when ready."""
    size: int | None = None
    """Bytes; known when ready."""
    error_message: str | None = None
    created_at: float | None = None
    """Seconds since the epoch."""
    user_metadata: dict[str, Any] | None = None


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
    """Seconds since the epoch."""
    error_code: str | None = None
    error_message: str | None = None
    result: Analysis | None = None
    video_seconds: float | None = None
    """Length of the video where the platform tells it."""

    @property
    def ended(self) -> bool:
        """No further change is to come."""
        return self.status in ENDED


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


def epoch_seconds(value: object) -> float | None:
    """An RFC 3339 time as seconds since the epoch; None when it is none. Without an offset it is taken as UTC."""
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
