"""A day of traffic, drawn from a seed and told in hours of that day. Pure: the same seed gives the same day.

The day has two rushes of the same size, so that the same hour of both halves can be compared: what grew between them
grew with time, not with load.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

HOURS = 24.0
HALF = 12.0
NIGHT_PER_HOUR = 240.0
RUSH_PER_HOUR = 1_100.0
_KEYS = 40
_TENANTS = 6
_SHARES = {"stream": 50, "async": 25, "sync": 10, "auto": 10, "invalid": 2, "repeat": 3}
_CANCELED_SHARE = 0.03
_NEW_CLIP_HOURS = 1.0

Kind = Literal["stream", "async", "sync", "auto", "invalid", "repeat", "cancel"]


@dataclass(frozen=True, slots=True)
class Planned:
    """One record of the day."""

    hour: float
    kind: Kind
    name: str
    key: bytes
    tenant: str
    clip: int
    """Number of the video; a new one comes into use every hour."""
    fragments: int = 0
    seconds: float = 0.0
    """How long the platform needs, in seconds of the real clock."""


@dataclass(frozen=True, slots=True)
class Disturbance:
    """What is done at an hour of the day: to the process that comes and goes, or to the broker."""

    hour: float
    action: Literal["replace", "kill", "upgrade"]


def rate(hour: float) -> float:
    """Requests an hour at an hour of the day: quiet at 0, 12 and 24 o'clock, full at 6 and 18."""
    return NIGHT_PER_HOUR + (RUSH_PER_HOUR - NIGHT_PER_HOUR) * math.sin(math.pi * hour / HALF) ** 2


def day(seed: int, hours: float = HOURS, density: float = 1.0) -> Iterator[Planned]:
    """The records of the day in the order of their times. `density` 0.1 sends a tenth of them."""
    rng = random.Random(f"day {seed}")
    recent: list[Planned] = []
    cancels: list[Planned] = []
    hour, number = 0.0, 0
    while True:
        # Thinning: candidates come at the highest rate, and are kept by the rate of their hour.
        hour += rng.expovariate(RUSH_PER_HOUR * density)
        if hour >= hours:
            return
        while cancels and cancels[0].hour <= hour:
            yield cancels.pop(0)
        if rng.random() > rate(hour) / RUSH_PER_HOUR:
            continue
        made = _request(rng, hour, f"day{seed}-{number}", recent)
        number += 1
        yield made
        if made.kind in ("stream", "async") and rng.random() < _CANCELED_SHARE:
            at = hour + rng.uniform(0, 0.02)
            cancels.append(Planned(at, "cancel", made.name, made.key, made.tenant, made.clip))
            cancels.sort(key=lambda one: one.hour)
        if made.kind not in ("invalid", "repeat"):
            recent = [*recent[-30:], made]


def disturbances(hours: float = HOURS) -> list[Disturbance]:
    """A deploy of one of the processes every second hour, a crash every fourth, a new version of the broker at noon."""
    found = [Disturbance(hour + 0.5, "replace") for hour in range(1, int(hours), 2)]
    found += [Disturbance(hour + 0.25, "kill") for hour in range(2, int(hours), 4)]
    found.append(Disturbance(hours / 2, "upgrade"))
    return sorted(found, key=lambda one: one.hour)


def body(planned: Planned, clips: list[str]) -> dict[str, Any] | bytes:
    """What is sent for a planned record."""
    if planned.kind == "invalid":
        return b'{"request_id": "%b", "video": 7}' % planned.name.encode()
    if planned.kind == "cancel":
        return {"type": "cancel", "request_id": planned.name}
    pace = (
        f"[[emulate: fragments={planned.fragments} interval_ms={1000 * planned.seconds / planned.fragments:.0f} "
        f"task_seconds={planned.seconds:g}]]"
    )
    return {
        "request_id": planned.name,
        "video": {"type": "file", "path": clips[planned.clip % len(clips)]},
        "mode": "stream" if planned.kind == "repeat" else planned.kind,
        "tenant": planned.tenant,
        "prompt": f"{planned.name} What happens? {pace}",
    }


def _request(rng: random.Random, hour: float, name: str, recent: list[Planned]) -> Planned:
    kind: Kind = rng.choices(list(_SHARES), list(_SHARES.values()))[0]  # type: ignore[assignment]
    if kind == "repeat":
        if not recent:
            kind = "stream"
        else:
            of = rng.choice(recent)
            return Planned(hour, kind, of.name, of.key, of.tenant, of.clip, of.fragments, of.seconds)
    key = f"cam{rng.randrange(_KEYS)}".encode()
    newest = int(hour / _NEW_CLIP_HOURS)
    clip = max(0, newest - rng.choice([0, 0, 0, 1, 2, 5]))
    seconds = rng.choice([0.3, 1.0, 3.0, 8.0])
    return Planned(hour, kind, name, key, f"t{rng.randrange(_TENANTS)}", clip, rng.choice([8, 20, 40]), seconds)
