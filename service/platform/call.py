"""What is asked of an analysis: the body of `/analyze` and of `/analyze/tasks`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_PASSED_ON = (
    "image",
    "prompt",
    "prompt_v2",
    "temperature",
    "max_tokens",
    "response_format",
    "start_time",
    "end_time",
    "analysis_mode",
    "min_segment_duration",
    "max_segment_duration",
)


_TASKS_ONLY = frozenset({"analysis_mode", "min_segment_duration", "max_segment_duration"})


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalysisCall:
    """One analysis, of a video (the platform's own source object) or of images.

    `model_name` is always sent: its default changes.
    """

    model_name: str
    video: Mapping[str, Any] | None = None
    image: Sequence[Mapping[str, Any]] | None = None
    prompt: str | None = None
    prompt_v2: Mapping[str, Any] | None = None
    temperature: float | None = None
    max_tokens: int | str | None = None
    response_format: Mapping[str, Any] | None = None
    start_time: float | None = None
    end_time: float | None = None
    analysis_mode: str | None = None
    min_segment_duration: float | None = None
    max_segment_duration: float | None = None

    def body(self) -> dict[str, Any]:
        """The JSON body of a task, without members that are None; the client adds `custom_id`."""
        body: dict[str, Any] = {"model_name": self.model_name}
        if self.video is not None:
            body["video"] = dict(self.video)
        for name in _PASSED_ON:
            value = getattr(self, name)
            if value is not None:
                body[name] = value
        return body

    def sync_body(self, *, stream: bool) -> dict[str, Any]:
        """The JSON body of `/analyze`, which has no segmentation. `stream` is always sent: its default is true."""
        body = {name: value for name, value in self.body().items() if name not in _TASKS_ONLY}
        return body | {"stream": stream}
