"""What goes wrong in a soak, drawn from a seed: signals to processes, faults of the platform, outages of the broker."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import Any, Literal

from service.domain.handover import CARRIER_LEASE_MS
from service.failpoints import Point

Action = Literal["kill", "stop", "freeze", "thaw", "start", "replace", "kill_leaving", "freeze_leaving", "thaw_leaving"]

_FAULTS: tuple[dict[str, Any], ...] = (
    {"operation": "task_create", "do": {"close": "after"}},
    {"operation": "task_create", "do": {"close": "before"}},
    {"operation": "task_create", "do": {"status": 503}},
    {"operation": "task_create", "do": {"status": 429, "retry_after": "1"}},
    {"operation": "asset_create", "do": {"close": "after"}},
    {"operation": "asset_create", "do": {"status": 500}},
    {"operation": "asset_get", "do": {"status": 502, "body": "text"}},
    {"operation": "task_get", "do": {"status": 500}},
    {"operation": "task_cancel", "do": {"close": "after"}},
    {"operation": ["analyze_stream", "analyze_sync"], "do": {"status": 429, "retry_after": "1"}},
    {"operation": ["analyze_stream", "analyze_sync"], "do": {"status": 500}},
    {"operation": "analyze_stream", "do": {"cut_after": 3}},
    {"operation": "analyze_stream", "do": {"error_after": 2}},
    {"operation": "analyze_sync", "do": {"close": "after"}},
)


@dataclass(frozen=True, slots=True)
class Disturbance:
    """`action` to `process`, `at` seconds after the start. `stop` is SIGTERM, `freeze` SIGSTOP, `thaw` SIGCONT.

    `replace` is an orderly restart: SIGTERM, and a new process in its place at once, while the old one carries its
    streams to their end. `…_leaving` is done to that old process, if it is still there.
    """

    at: float
    process: str
    action: Action
    armed: str | None = None
    """For `start`: a failpoint at which the process will freeze itself."""
    then: Literal["thaw", "kill"] = "thaw"
    """What is done to it when it has been frozen there past its session."""


@dataclass(frozen=True, slots=True)
class PlannedFault:
    """A rule for the emulator."""

    at: float
    rule: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Outage:
    """The broker goes away `at` seconds after the start: killed and started again `seconds` later, or restarted."""

    at: float
    how: Literal["kill", "restart"]
    seconds: float


@dataclass(frozen=True, slots=True)
class Chaos:
    """All disturbances of a run. After the last one, every process is running or starting."""

    disturbances: tuple[Disturbance, ...]
    faults: tuple[PlannedFault, ...]
    outages: tuple[Outage, ...] = ()


def make_outages(seed: int, seconds: float) -> tuple[Outage, ...]:
    """Two or three outages, one after another, shorter and longer than a session."""
    rng = random.Random(f"outages {seed}")
    count = rng.choice([2, 3])
    found = []
    for number in range(count):
        at = seconds * (number + rng.uniform(0.1, 0.6)) / count
        found.append(Outage(at, rng.choice(["kill", "kill", "restart"]), rng.choice([0.5, 2.0, 5.0, 9.0])))
    return tuple(found)


def make_chaos(
    seed: int,
    processes: tuple[str, ...],
    seconds: float,
    session_seconds: float,
    *,
    extra: tuple[str, ...] = (),
    outages: bool = False,
    orderly: bool = False,
) -> Chaos:
    """Each process is disturbed again and again until `seconds` are over; the broker too if `outages` is true.

    `extra` processes come and go in an orderly way, as when a group is scaled out and in; they are not running at the
    beginning. With `orderly` nothing else happens than that, and orderly restarts.
    """
    rng = random.Random(f"chaos {seed}")
    disturbances: list[Disturbance] = []
    for process in extra:
        at = rng.uniform(1, 4)
        while at < seconds:
            until = at + rng.uniform(4, 8)
            disturbances += [Disturbance(at, process, "start"), Disturbance(until, process, "stop")]
            at = until + rng.uniform(3, 8)
    for process in processes:
        at = rng.uniform(2, 9)
        while at < seconds:
            planned = [Disturbance(at, process, "replace")] if orderly else _sequence(rng, process, at, session_seconds)
            disturbances.extend(planned if orderly else (_armed(rng, disturbance) for disturbance in planned))
            at = planned[-1].at + rng.uniform(4, 11)
    faults = []
    for _ in range(0 if orderly else round(seconds / 5)):
        rule = dict(rng.choice(_FAULTS))
        rule |= {"times": rng.randint(1, 3), "probability": rng.choice([0.3, 1.0]), "seed": rng.randrange(10**6)}
        faults.append(PlannedFault(rng.uniform(0, seconds), rule))
    by_time = sorted(disturbances, key=lambda disturbance: (disturbance.at, disturbance.process))
    by_broker = make_outages(seed, seconds) if outages else ()
    return Chaos(tuple(by_time), tuple(sorted(faults, key=lambda fault: fault.at)), by_broker)


def _armed(rng: random.Random, disturbance: Disturbance) -> Disturbance:
    """Some starts are armed: the process freezes itself at a failpoint, which hits rare moments more often."""
    if disturbance.action != "start" or rng.random() < 0.5:
        return disturbance
    point = rng.choice([point for point in Point if point is not Point.IN_RESTORE])
    return replace(disturbance, armed=f"{point}:{rng.randint(1, 12)}", then=rng.choice(["thaw", "thaw", "kill"]))


def _sequence(rng: random.Random, process: str, at: float, session: float) -> list[Disturbance]:
    kinds = {"killed": 36, "stopped": 14, "frozen": 16, "napping": 10, "killed_frozen": 8, "replaced": 16}
    kind = rng.choices(list(kinds), list(kinds.values()))[0]
    if kind == "replaced":
        return _replaced(rng, process, at)
    if kind == "killed":
        return [Disturbance(at, process, "kill"), Disturbance(at + rng.choice([0.1, 1.0, 3.0, 6.0]), process, "start")]
    if kind == "stopped":
        return [Disturbance(at, process, "stop"), Disturbance(at + rng.uniform(0.5, 4), process, "start")]
    length = rng.uniform(0.2, 0.8) if kind == "napping" else rng.uniform(1.3, 2.5)
    until = at + session * length
    if kind == "killed_frozen":
        return [
            Disturbance(at, process, "freeze"),
            Disturbance(until, process, "kill"),
            Disturbance(until + 1, process, "start"),
        ]
    return [Disturbance(at, process, "freeze"), Disturbance(until, process, "thaw")]


def _replaced(rng: random.Random, process: str, at: float) -> list[Disturbance]:
    """An orderly restart. Half of the processes that are replaced die, or freeze past their word, while they carry."""
    planned = [Disturbance(at, process, "replace")]
    then = rng.choices(["nothing", "killed", "frozen"], [50, 30, 20])[0]
    soon = at + rng.uniform(0.5, 3)
    if then == "killed":
        planned.append(Disturbance(soon, process, "kill_leaving"))
    if then == "frozen":
        planned.append(Disturbance(soon, process, "freeze_leaving"))
        planned.append(Disturbance(soon + CARRIER_LEASE_MS / 1000 + rng.uniform(1, 3), process, "thaw_leaving"))
    return planned
