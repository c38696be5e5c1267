"""The requests of the demo, and how each is expected to end."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import orjson

# Only the emulator reads this: it slows the answer down, so that the service can be ended in the middle.
_SLOWLY = "[[emulate: fragments=60 interval_ms=60]]"


@dataclass(frozen=True, slots=True)
class DemoRequest:
    """One record for the requests topic. `expected` is the type of its end, `attempt` the one that must reach it."""

    request_id: str
    what: str
    value: bytes
    expected: str
    attempt: int = 1


def demo_requests(video: Path, other: Path) -> tuple[DemoRequest, ...]:
    """The requests of the first part: two on the same video, a task, one that can't be read."""

    def ask(request_id: str, what: str, path: Path, prompt: str, mode: str, expected: str = "completed") -> DemoRequest:
        body = {
            "request_id": request_id,
            "video": {"type": "file", "path": str(path)},
            "prompt": prompt,
            "mode": mode,
            "metadata": {"demo": True},
        }
        return DemoRequest(request_id, what, orjson.dumps(body), expected)

    return (
        ask("demo-stream", "streamed", video, "Describe what happens, with timestamps.", "stream"),
        ask("demo-again", "streamed, the same video", video, "List the scenes. How loud is each?", "stream"),
        ask("demo-task", "as a task", other, "Summarise the video in two sentences.", "async"),
        DemoRequest("demo-broken", "unreadable", b'{"request_id": "demo-broken", "video": ', "dead_letter"),
    )


def restarted_request(video: Path) -> DemoRequest:
    """A slow stream: its service process is restarted in an orderly way (SIGTERM) in the middle of it."""
    return _slow(video, "demo-restarted", "its service is restarted, as in a deploy", attempt=1)


def killed_request(video: Path) -> DemoRequest:
    """A slow stream: its service process is killed in the middle of it."""
    return _slow(video, "demo-killed", "its service is killed", attempt=2)


def _slow(video: Path, request_id: str, what: str, attempt: int) -> DemoRequest:
    body = {
        "request_id": request_id,
        "video": {"type": "file", "path": str(video)},
        "prompt": f"Tell the whole story, slowly. {_SLOWLY}",
        "mode": "stream",
    }
    return DemoRequest(request_id, what, orjson.dumps(body), "completed", attempt)
