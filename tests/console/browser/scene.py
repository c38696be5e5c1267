"""What the stand-in for the console's server serves: made-up requests and dead letters, as many as wanted."""

from __future__ import annotations

import itertools
import random
import time
from collections import Counter
from typing import Any

TEXT = (
    "A forklift enters the loading bay from the left and stops beside the second gate. Two people in yellow vests walk "
    "towards it; one of them carries a clipboard. At 0:14 the load begins to tilt and the driver lowers the fork. "
)
WORDS = TEXT.split()
_PHASES = ("streaming", "streaming", "streaming", "watching", "accepted", "ready", "calling", "creating")
TENANTS = ("acme-logistics", "harbour", "metro-cctv", None, "north-mall", "studio-7", "warehouse-eu")
_CODES = ("rejected", "source_not_found", "platform_unavailable")
_WAITS = ("quota", "turn", "batch")


class Scene:
    """Made-up requests and dead letters. `busy`: how many rows change in each quarter of a second."""

    def __init__(self, *, live: int = 40, ended: int = 160, busy: int = 20, letters: int = 12, seed: int = 7) -> None:
        self.left_out = 0
        self._random = random.Random(seed)
        self._total = live + ended
        self._numbers = itertools.count(self._total)
        self.busy = busy
        self.signed_in = False
        self.actions_offered = True
        self.now = int(time.time() * 1000)
        self.jobs = {row["id"]: row for row in (self._row(number, number >= ended) for number in range(live + ended))}
        self.letters = [self._letter(number) for number in range(letters)]
        self.done: list[str] = []
        self.viewers = 0
        """Streams of the list that are open."""
        self.wrong: dict[str, str] = {}
        """What `/health/ready` says is wrong."""

    def _row(self, number: int, is_live: bool) -> dict[str, Any]:
        chance = self._random
        age = (self._total - number) * 1_300 + chance.randrange(600)
        accepted = self.now - max(500, age)
        phase = (
            chance.choice(_PHASES) if is_live else chance.choices(("completed", "failed", "canceled"), (90, 8, 2))[0]
        )
        mode = {"streaming": "stream", "calling": "sync", "watching": "async", "creating": "async"}.get(phase, "stream")
        billed = round(chance.uniform(0.2, 9), 2)
        return {
            "id": f"cam{number % 24}-{918_000 + number}",
            "run": 2 if number % 97 == 5 else 1,
            "phase": phase,
            "mode": None if phase in ("accepted", "ready") else mode,
            "key": f"cam{number % 24}",
            "tenant": TENANTS[number % len(TENANTS)],
            "priority": "normal",
            "accepted_ms": accepted,
            "updated_ms": accepted + 400,
            "ended_ms": None if is_live else accepted + chance.randrange(3_000, 90_000),
            "code": chance.choice(_CODES) if phase == "failed" else None,
            "attempt": 1 if chance.random() < 0.92 else 2,
            "waits": chance.choice(_WAITS) if phase == "ready" and chance.random() < 0.6 else None,
            "partition": number % 6,
            "process": f"reelwire-{number % 3}" if is_live else None,
            "cost": round(billed * 0.05, 4) if phase == "completed" else None,
            "billed_minutes": billed if phase == "completed" else None,
            "characters": chance.randrange(200, 6_000) if phase in ("streaming", "completed") else 0,
        }

    def _letter(self, number: int) -> dict[str, Any]:
        code, message = (
            ("not_json", "the value is no JSON: unexpected character at line 1 column 1"),
            ("invalid", "video.url: must begin with http:// or https://"),
            ("not_utf8", "the value is not UTF-8: byte 0xff at position 14"),
            ("too_large", "the value has 9,437,184 bytes, more than the 8,388,608 that are read"),
        )[number % 4]
        value = (
            b'{"request_id": "\xff\xfe' if code == "not_utf8" else b'{"request_id": "cam7-1", "video": {"type": "url"'
        )
        return {
            "partition": number % 3,
            "offset": 100 + number,
            "time_ms": self.now - number * 173_000,
            "code": code,
            "message": message,
            "request_id": f"cam{number}-1" if code == "invalid" else None,
            "source": {"topic": "reelwire.requests", "partition": number % 6, "offset": 40_000 + number},
            "bytes": len(value),
            "state": "open",
            "redrivable": code != "too_large",
            "value": value,
        }

    def add(self, **members: Any) -> dict[str, Any]:
        """A new request."""
        row = self._row(next(self._numbers), is_live=True) | members
        row["accepted_ms"] = members.get("accepted_ms", int(time.time() * 1000))
        self.jobs[row["id"]] = row
        return row

    def changes(self) -> list[dict[str, Any]]:
        """Let something happen, and return the rows that changed."""
        running = [row for row in self.jobs.values() if row["ended_ms"] is None]
        changed = self._random.sample(running, min(self.busy, len(running)))
        for row in changed:
            row["updated_ms"] = int(time.time() * 1000)
            if row["phase"] == "streaming":
                row["characters"] += self._random.randrange(20, 90)
        return changed

    def counts(self) -> dict[str, Any]:
        """What every event of the list says."""
        ended = sum(row["ended_ms"] is not None for row in self.jobs.values())
        return {
            "phases": dict(Counter(row["phase"] for row in self.jobs.values())),
            "live": len(self.jobs) - ended,
            "ended": ended,
            "left_out": self.left_out,
            "fragments_per_second": self.busy * 12.5,
        }

    def detail(self, row: dict[str, Any]) -> dict[str, Any]:
        """All that is known of one request."""
        start = row["accepted_ms"]
        end = row["ended_ms"]
        text = TEXT + "\n\n" + " ".join(WORDS[:20])
        if row["characters"] == 0:
            text = ""
        steps = [
            ("accepted", 0, {}),
            ("uploading", 300, {"bytes_sent": 18_874_368, "bytes_total": 25_165_824, "route": "direct"}),
            ("asset_ready", 2_400, {"asset_id": "68c2e1f0", "duration": 96.4, "reused": False}),
            ("stream_started", 3_100, {}),
        ]
        ended = None
        if row["phase"] == "failed":
            ended = {
                "type": "failed",
                "error": {
                    "code": row["code"],
                    "message": "The platform refused the request: the video has no picture.",
                    "stage": "analysis",
                    "retryable": row["code"] == "platform_unavailable",
                    "platform": {"status": 400, "code": "video_no_picture", "message": "Video track is missing."},
                },
            }
        elif row["phase"] == "canceled":
            ended = {"type": "canceled", "reason": "asked for by a cancel record"}
        elif row["phase"] == "completed":
            usage = {"input_tokens": 18_220, "output_tokens": 412, "billed_minutes": row["billed_minutes"]}
            ended = {"type": "completed", "text": text, "usage": usage, "finish_reason": "stop"}
        segments = [
            ("arrival", 0, 14.5, {"vehicle": "forklift"}),
            ("people", 9, 41, {"count": 2, "clothing": "yellow vests"}),
            ("incident", 14, 22.25, {"what": "the load tilts", "severity": "low"}),
            ("arrival", 48, 63, {"vehicle": "lorry"}),
            ("people", 70, 96.4, {"count": 1}),
        ]
        upload = end is not None or row["phase"] != "accepted"
        return row | {
            "prompt": "Describe any incident, with timestamps.",
            "video": {"type": "url", "url": "https://media.example.com/cam7/918273.mp4"},
            "request": {
                "type": "analyze",
                "request_id": row["id"],
                "video": {"type": "url", "url": "https://media.example.com/cam7/918273.mp4"},
                "prompt": "Describe any incident, with timestamps.",
                "tenant": row["tenant"],
            },
            "progress": [
                {"time_ms": start + after, "stage": stage, "attempt": 1, "detail": detail}
                for stage, after, detail in steps
            ],
            "spans": [
                {"label": "queued", "attempt": 1, "from_ms": start, "to_ms": start + 300},
                {"label": "upload", "attempt": 1, "from_ms": start + 300, "to_ms": start + 2_400},
                {"label": "waiting: quota", "attempt": 1, "from_ms": start + 2_400, "to_ms": start + 3_100},
                {"label": "stream", "attempt": row["attempt"], "from_ms": start + 3_100, "to_ms": end},
            ][: 4 if upload else 1],
            "completion": ended,
            "segments": [
                {"start_s": begin, "end_s": stop, "label": label, "detail": detail}
                for label, begin, stop, detail in segments
                if row["phase"] == "completed"
            ],
            "duration_s": 96.4,
            "text": text or None,
            "cursor": f"1.1.{len(text.split())}.0.0",
        }
