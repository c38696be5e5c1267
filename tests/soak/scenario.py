"""The requests of a soak, drawn from a seed. Pure: the same seed gives the same records."""

from __future__ import annotations

import base64
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

_SCHEMA = {
    "type": "json_schema",
    "json_schema": {
        "type": "object",
        "properties": {"title": {"type": "string"}, "people": {"type": "integer"}},
        "required": ["title", "people"],
    },
}
_KEYS = 24
_TOO_LARGE_BYTES = 1_200_000
# How many of a hundred; the rest are streams.
_SHARES = {"sync": 13, "async": 22, "auto": 8, "inline": 5, "refused": 5, "invalid": 7, "repeat": 9}
_CANCELED_SHARE = 0.09

Make = Callable[[random.Random, str], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Planned:
    """One record to be sent `at` seconds after the start."""

    at: float
    kind: str
    key: bytes | None
    partition: int | None
    """Given where there is no key, so that a repetition and a cancel follow their request."""
    body: dict[str, Any] | bytes | None
    ends: frozenset[str]
    """How it may end: a completion's type, `failed` with its code behind a colon, or `dead:` and its code."""
    deadline_seconds: float | None = None
    """From the moment of sending."""

    @property
    def request_id(self) -> str | None:
        """None for what can't be read."""
        return self.body.get("request_id") if isinstance(self.body, dict) and self.kind != "invalid" else None


@dataclass(frozen=True, slots=True)
class Clips:
    """Distinct videos: some are named by their path, the others sent as bytes."""

    files: tuple[Path, ...]
    bytes: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Scenario:
    """All records of a run, in the order of their times."""

    records: tuple[Planned, ...]

    def ends(self) -> dict[str, frozenset[str]]:
        """How each request may end; a cancel adds to it."""
        found: dict[str, frozenset[str]] = {}
        for record in self.records:
            if record.request_id is not None and record.kind != "repeat":
                found[record.request_id] = found.get(record.request_id, frozenset()) | record.ends
        return {name: ends for name, ends in found.items() if ends != {"canceled"}}

    def repeats(self) -> dict[str, int]:
        """How often each id is sent again."""
        found: dict[str, int] = {}
        for record in self.records:
            if record.kind == "repeat" and record.request_id is not None:
                found[record.request_id] = found.get(record.request_id, 0) + 1
        return found


def make_scenario(seed: int, count: int, seconds: float, clips: Clips, partitions: int) -> Scenario:
    """`count` requests within `seconds`, and cancels of about a tenth of them."""
    rng = random.Random(f"requests {seed}")
    planned: list[Planned] = []
    first: list[Planned] = []
    for number, at in enumerate(sorted(rng.uniform(0, seconds) for _ in range(count))):
        kind = _kind(rng)
        if kind == "repeat" and first:
            planned.append(_repeat(rng, at, rng.choice(first[-40:])))
            continue
        name = f"r{seed}-{number:03d}"
        key = None if rng.random() < 0.1 else f"cam{rng.randrange(_KEYS)}".encode()
        partition = None if key is not None else rng.randrange(partitions)
        if kind == "invalid":
            body, end = _invalid(rng, name)
            planned.append(Planned(at, kind, key, partition, body, frozenset({end})))
            continue
        made = _request(rng, at, kind, name, key, partition, clips)
        first.append(made)
        planned.append(made)
        if rng.random() < _CANCELED_SHARE:
            planned.append(_cancel(rng, made))
    for number in range(max(1, count // 100)):
        nobody = {"type": "cancel", "request_id": f"nobody{seed}-{number}"}
        planned.append(Planned(rng.uniform(0, seconds), "cancel", b"cam1", None, nobody, frozenset({"canceled"})))
    return Scenario(tuple(sorted(planned, key=lambda record: record.at)))


def _kind(rng: random.Random) -> str:
    drawn = rng.randrange(100)
    for kind, share in _SHARES.items():
        drawn -= share
        if drawn < 0:
            return kind
    return "stream"


def _request(
    rng: random.Random, at: float, kind: str, name: str, key: bytes | None, partition: int | None, clips: Clips
) -> Planned:
    body: dict[str, Any] = {"request_id": name, "video": _video(rng, kind, clips), "mode": kind}
    ends = {"completed"}
    deadline: float | None = None
    if kind == "inline":
        body |= {"upload": "inline", "mode": rng.choice(["stream", "sync", "async"])}
    if kind == "refused":
        body["mode"] = "auto"
        body["video"], deadline, end = _refused(rng, body["video"])
        ends = {end}
    body["prompt"] = f"{name} What happens? {_pace(rng)}"
    if kind not in ("refused", "inline"):
        if rng.random() < 0.2:
            body["response_format"] = _SCHEMA
        if rng.random() < 0.2:
            body["metadata"] = {"seed": name, "number": rng.randrange(1000)}
        chosen = rng.choices([None, "restart", "async", "fail"], [60, 15, 15, 10])[0]
        if chosen is not None:
            body["on_interrupt"] = chosen
        if rng.random() < 0.08:
            deadline = rng.choice([1.0, 3.0, 600.0])
            if deadline < 600:
                ends.add("failed:deadline_exceeded")
    if body.get("on_interrupt") == "fail":
        ends.add("failed:interrupted")
    return Planned(at, kind, key, partition, body, frozenset(ends), deadline)


def _video(rng: random.Random, kind: str, clips: Clips) -> dict[str, Any]:
    if kind == "inline" or rng.random() < 0.15:
        return {"type": "base64_string", "base64_string": base64.b64encode(rng.choice(clips.bytes)).decode()}
    return {"type": "file", "path": str(rng.choice(clips.files))}


def _pace(rng: random.Random) -> str:
    """A directive to the emulator: from a moment to some seconds, so that a kill may come at any point."""
    seconds = rng.choice([0.2, 0.5, 1, 2, 4])
    fragments = rng.choice([5, 20, 60])
    return (
        f"[[emulate: fragments={fragments} interval_ms={1000 * seconds / fragments:.0f} task_seconds={seconds / 2:g}]]"
    )


def _refused(rng: random.Random, video: dict[str, Any]) -> tuple[dict[str, Any], float | None, str]:
    """Wrong by circumstances: source, deadline and how it ends."""
    choices: list[tuple[dict[str, Any], float | None, str]] = [
        ({"type": "file", "path": "/etc/hostname"}, None, "failed:source_not_allowed"),
        ({"type": "asset_id", "asset_id": "0" * 24}, None, "failed:source_not_found"),
        (video, -60.0, "failed:deadline_exceeded"),
    ]
    return rng.choice(choices)


def _invalid(rng: random.Random, name: str) -> tuple[bytes, str]:
    good = {"request_id": name, "video": {"type": "url", "url": "https://media.example.com/a.mp4"}, "prompt": "What?"}
    wrong: Sequence[tuple[Callable[[], bytes], str]] = (
        (lambda: b"", "not_json"),
        (lambda: orjson.dumps(good)[:-2], "not_json"),
        (lambda: b'{"request_id": "K\xf6ln"}', "not_utf8"),
        (lambda: b"[1, 2]", "invalid"),
        (lambda: orjson.dumps({**good, "request_id": "with spaces"}), "invalid"),
        (lambda: orjson.dumps({name: value for name, value in good.items() if name != "request_id"}), "invalid"),
        (lambda: orjson.dumps({**good, "temperature": 7}), "invalid"),
        (lambda: orjson.dumps({**good, "temperature": "warm"}), "invalid"),
        (lambda: orjson.dumps({**good, "prompt_v2": {"input_text": "And?"}}), "invalid"),
        (lambda: orjson.dumps({**good, "mode": "stream", "analysis_mode": "time_based_metadata"}), "invalid"),
        (lambda: orjson.dumps({**good, "type": "analyse"}), "unknown_type"),
        (lambda: orjson.dumps({**good, "metadata": {"x": "y" * _TOO_LARGE_BYTES}}), "too_large"),
    )
    weights = [4] * (len(wrong) - 1) + [1]
    made, code = rng.choices(wrong, weights)[0]
    return made(), f"dead:{code}"


def _repeat(rng: random.Random, at: float, of: Planned) -> Planned:
    """The same id under the same key, as it was or with another body."""
    if not isinstance(of.body, dict):
        raise TypeError("only a request is repeated")
    body = of.body if rng.random() < 0.6 else {**of.body, "prompt": "Something else altogether."}
    return Planned(at, "repeat", of.key, of.partition, body, of.ends)


def _cancel(rng: random.Random, of: Planned) -> Planned:
    at = of.at + rng.choice([0.0, rng.uniform(0, 1), rng.uniform(0, 6)])
    body = {"type": "cancel", "request_id": of.request_id}
    return Planned(at, "cancel", of.key, of.partition, body, frozenset({"canceled"}))
