"""What a measurement asks for: how many jobs, how long, how fast. The stand-in reads it from the prompt."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass

import orjson

FRAGMENT_CHARS = 48
_WRITTEN = re.compile(r"@(\d{16}) ")


@dataclass(frozen=True, slots=True)
class Workload:
    """`jobs` streams of `lines` fragments, `at_once` of them under way.

    Each stream writes `rate` fragments a second, or with 0 as many as are taken.
    """

    jobs: int
    lines: int
    rate: float
    at_once: int

    @property
    def total_lines(self) -> int:
        return self.jobs * self.lines

    def __str__(self) -> str:
        pace = f"{self.rate:g} a second" if self.rate else "as fast as they come"
        return f"{self.at_once} streams at once, {self.lines} fragments each, {pace}"

    def prompt(self) -> str:
        """What the stand-in does is told by the prompt."""
        return f"lines={self.lines} rate={self.rate:g}"

    def request(self, request_id: str) -> bytes:
        """A request for one stream. The URL is never fetched: it is handed to the stand-in inline."""
        return orjson.dumps(
            {
                "request_id": request_id,
                "video": {"type": "url", "url": "http://127.0.0.1:9/video.mp4"},
                "prompt": self.prompt(),
                "mode": "stream",
                "upload": "inline",
            }
        )


def script_of(prompt: str) -> tuple[int, float]:
    """Lines and lines a second that a prompt asks for."""
    asked = dict(part.split("=", 1) for part in prompt.split())
    return int(asked["lines"]), float(asked["rate"])


def now_us() -> int:
    """Microseconds since the epoch, by the clock that all processes of this machine share."""
    return time.time_ns() // 1000


_PADDING = "the forklift lifts two pallets and leaves the dock again"[: FRAGMENT_CHARS - 18]
_LINE = ('{"event_type":"text_generation","text":"@%d ' + _PADDING + '"}\n').encode()


def text_line() -> bytes:
    """A line of generated text that holds the time at which it is written."""
    return _LINE % now_us()


def written_us(text: str) -> list[int]:
    """When each line that went into `text` was written."""
    return [int(found) for found in _WRITTEN.findall(text)]
