"""What the figures say: medians of each contestant, ratios, and the targets they are held against. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.results import Results, median
from benchmarks.turns import KINDS
from benchmarks.workload import Workload

THROUGHPUT = ("paced", "fast", "jobs")
CONTESTANTS = ("reelwire", "sdk", "sdk-send", "floor")
_MIB = 2**20


@dataclass(frozen=True, slots=True)
class Throughput:
    """Medians over the rounds."""

    part: str
    contestant: str
    cpu_us: float
    fragments_per_second: float
    jobs_per_second: float
    core_share: float
    lines_per_record: float
    spread: tuple[float, float]
    rounds: int


@dataclass(frozen=True, slots=True)
class Target:
    """One promise and what was found."""

    what: str
    wanted: str
    found: str
    met: bool


def title(results: Results, part: str) -> str:
    """What a part of throughput ran, in words."""
    return str(Workload(**results.parts[part]["work"]))


def throughput(results: Results, part: str) -> list[Throughput]:
    """One line a contestant, in the order of `CONTESTANTS`."""
    found = []
    for contestant in CONTESTANTS:
        rows = results.rows(part, contestant=contestant)
        if not rows:
            continue
        costs = [row["cpu_seconds"] / row["lines"] * 1e6 for row in rows]
        found.append(
            Throughput(
                part,
                contestant,
                cpu_us=median(costs) or 0.0,
                fragments_per_second=median(row["lines"] / row["seconds"] for row in rows) or 0.0,
                jobs_per_second=median(row["jobs"] / row["seconds"] for row in rows) or 0.0,
                core_share=median(row["cpu_seconds"] / row["seconds"] for row in rows) or 0.0,
                lines_per_record=median(row["lines"] / row["records"] for row in rows) or 0.0,
                spread=(min(costs), max(costs)),
                rounds=len(rows),
            )
        )
    return found


def late(results: Results, contestant: str, isolation: str, what: str, quantile: str) -> float | None:
    """Median over the rounds of one quantile, in milliseconds."""
    rows = results.rows("latency", contestant=contestant, isolation=isolation)
    return median(row[what][quantile] for row in rows)


def targets(results: Results) -> list[Target]:
    """Every promise that the measured parts can be held against."""
    found = [
        *_cpu_targets(results),
        *_latency_targets(results),
        *_holding_targets(results),
        *_noticing_targets(results),
        *_turns_targets(results),
        *_moves_targets(results),
    ]
    for row in results.rows("dedup"):
        worst = max(row["restored"], row["grown"])
        found.append(_at_most("memory of a finished request", worst, 32, "bytes"))
    return found


def _cpu_targets(results: Results) -> list[Target]:
    found = []
    for part, limit in (("fast", 1 / 10), ("paced", 1 / 6)):
        cost = {line.contestant: line.cpu_us for line in throughput(results, part)}
        if {"reelwire", "sdk"} <= cost.keys():
            ratio = cost["reelwire"] / cost["sdk"]
            what = f"CPU per fragment against the SDK loop: {title(results, part)}"
            found.append(Target(what, f"≤ 1/{1 / limit:.0f}", f"1/{1 / ratio:.1f}", ratio <= limit))
        if {"reelwire", "floor"} <= cost.keys():
            what = f"CPU per fragment against the floor: {title(results, part)}"
            found.append(_at_most(what, cost["reelwire"] / cost["floor"], 2, "times"))
    jobs = {line.contestant: line.jobs_per_second for line in throughput(results, "jobs")}
    if {"reelwire", "sdk"} <= jobs.keys():
        ratio = jobs["reelwire"] / jobs["sdk"]
        found.append(Target("jobs a second against the SDK loop", "≥ 3 times", f"{ratio:.1f} times", ratio >= 3))
    return found


def _latency_targets(results: Results) -> list[Target]:
    found = []
    for isolation in ("read_uncommitted", "read_committed"):
        for quantile in ("p50", "p99"):
            ours, theirs = (late(results, who, isolation, "fragments", quantile) for who in ("reelwire", "sdk"))
            if ours is None or theirs is None:
                continue
            what = f"fragment in a {isolation} reader's hands, {quantile}"
            found.append(Target(what, f"≤ {theirs:.1f} ms (the SDK loop)", f"{ours:.1f} ms", ours <= theirs))
    done = late(results, "reelwire", "read_committed", "completions", "p50")
    if done is not None:
        found.append(_at_most("last byte to completion, read_committed, p50", done, 50, "ms"))
    return found


def _holding_targets(results: Results) -> list[Target]:
    found = []
    for row in results.rows("holding"):
        held, restored = row["held"], row["restored"]
        if held["tasks"] < 10_000:
            continue
        what = f"with {held['tasks']:,} tasks and {held['finished']:,} finished requests: "
        found.append(_at_most(what + "CPU, a minute later", 100 * held["cpu_share"], 10, "% of a core"))
        found.append(_at_most(what + "memory", held["rss"] / _MIB, 300, "MiB"))
        found.append(_at_most(what + "/health/live, worst", held["health_ms_max"], 100, "ms"))
        found.append(_at_most(what + "all taken over after the kill was noticed", restored["intake_open"], 10, "s"))
    return found


def _noticing_targets(results: Results) -> list[Target]:
    found = []
    for row in results.rows("noticing"):
        match row["kind"]:
            case "usual" | "unrelated" as kind:
                words = "by the length of the video" if kind == "usual" else "whatever the video"
                what = f"tasks of 60 to 120 s, {words}: "
                found.append(_at_most(what + "end noticed late, p50", row["late_ms_p50"] / 1000, 1.5, "s"))
                found.append(_at_most(what + "looks at each", row["looks"], 15, "looks"))
            case "webhooks":
                found.append(_at_most("with webhooks: end noticed late, p50", row["late_ms_p50"], 100, "ms"))
            case "assets":
                found.append(_at_most("new video ready to analysis begun, p50", row["ms_p50"], 300, "ms"))
    return found


def _turns_targets(results: Results) -> list[Target]:
    return [
        _at_most(f"begun, {KINDS[row['kind']].format(others=row['others'])}: worst", row["ms_max"] / 1000, 2, "s")
        for row in results.rows("turns")
        if row["others"]
    ]


def _moves_targets(results: Results) -> list[Target]:
    found = []
    for row in results.rows("moves"):
        what = f"{row['restarts']} rolling restarts: "
        found.append(_at_most(what + "paid twice per restart", row["paid_twice_per_restart"], 0, "requests"))
        found.append(_at_most(what + "intake of a partition stands still, p50", row["standstill_ms"]["p50"], 200, "ms"))
    return found


def _at_most(what: str, found: float, limit: float, unit: str) -> Target:
    return Target(what, f"≤ {limit:g} {unit}", f"{found:.1f} {unit}", found <= limit)
