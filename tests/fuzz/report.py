"""What a fuzz run has shown: a table for people, JSON for programs, and a file for each failing record."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson

from tests.fuzz.case import Case
from tests.fuzz.figures import Health
from tests.fuzz.observer import Observed
from tests.fuzz.sender import Ledger
from tests.fuzz.verdict import Failure

_SHOWN = 40


@dataclass(frozen=True, slots=True)
class FuzzResult:
    """A run: good when nothing failed. `limits` are broken limits of latency and memory, judged apart."""

    seed: int
    records: int
    seconds: float
    sent: int
    sent_bytes: int
    refused: Mapping[str, int]
    kinds: Mapping[str, Mapping[str, int]]
    """By kind: how many records, dead letters, and requests."""
    letters: Mapping[str, int]
    ends: Mapping[str, int]
    health: Health
    exits: Sequence[str]
    failures: Sequence[Failure]
    limits: Sequence[str]

    def as_json(self) -> dict[str, Any]:
        """All of it."""
        return asdict(self)


def summarise(
    *, seed: int, records: int, seconds: float, ledger: Ledger, seen: Observed, health: Health, exits: Sequence[str],
    failures: Sequence[Failure],
) -> FuzzResult:  # fmt: skip
    """The result of a run."""
    kinds: dict[str, Counter[str]] = {}
    for place, record in ledger.places.items():
        row = kinds.setdefault(record.kind, Counter())
        row["records"] += 1
        row["dead letters" if place in seen.letters else "requests"] += 1
    letters = Counter(letter.code for found in seen.letters.values() for letter in found)
    ends = Counter(completions[0].end for completions in seen.completions.values())
    return FuzzResult(
        seed=seed,
        records=records,
        seconds=round(seconds, 1),
        sent=len(ledger.places),
        sent_bytes=ledger.sent_bytes,
        refused=dict(ledger.refused),
        kinds={name: dict(row) for name, row in sorted(kinds.items())},
        letters=dict(letters),
        ends=dict(ends.most_common()),
        health=health,
        exits=list(exits),
        failures=list(failures),
        limits=list(health.beyond_limits()),
    )


def table(result: FuzzResult) -> Iterator[str]:
    """Lines for a terminal."""
    health = result.health
    yield f"seed {result.seed}: {result.sent:,} records, {result.sent_bytes / 1e6:,.0f} MB, {result.seconds:g} s"
    yield f"{'kind':<18}{'records':>9}{'dead letters':>14}{'requests':>10}"
    for name, row in result.kinds.items():
        yield f"{name:<18}" + "".join(
            f"{row.get(column, 0):>{width},}"
            for column, width in (("records", 9), ("dead letters", 14), ("requests", 10))
        )
    yield "dead letters   " + _listed(result.letters)
    yield "completions    " + _listed(result.ends)
    yield "refused by the broker   " + _listed(_by_first_word(result.refused))
    yield (
        f"/health/live   p50 {health.live_p50_ms:.1f} ms, p99 {health.live_p99_ms:.1f} ms, worst "
        f"{health.live_worst_ms:.1f} ms of {health.samples:,}, {health.unanswered} without an answer "
        f"(the probe itself was late by {health.late_p99_ms:.1f} ms at p99, {health.late_worst_ms:.1f} ms at worst)"
    )
    yield f"memory         {health.memory_worst_mb:.0f} MB at worst"
    yield f"exits          {len(result.exits)}"
    yield f"failures       {len(result.failures)}"
    for failure in result.failures[:_SHOWN]:
        yield f"  {failure.what}"
    if len(result.failures) > _SHOWN:
        yield f"  and {len(result.failures) - _SHOWN} more"
    for limit in result.limits:
        yield f"beyond a limit: {limit}"


def save_failures(result: FuzzResult, cases: Mapping[int, Case], folder: Path) -> Iterator[str]:
    """Write each failing record to a file of its own; yields the files."""
    folder.mkdir(parents=True, exist_ok=True)
    by_number: dict[int, list[str]] = {}
    for failure in result.failures:
        if failure.number is not None:
            by_number.setdefault(failure.number, []).append(failure.what)
    for number, whats in by_number.items():
        file = folder / f"seed{result.seed}-{number}.json"
        again = f'make fuzz ARGS="--replay {file}"'
        case = cases[number].as_json() if number in cases else None
        file.write_bytes(orjson.dumps({"what": whats, "again": again, "case": case}, option=orjson.OPT_INDENT_2))
        yield str(file)
    (folder / f"seed{result.seed}.json").write_bytes(orjson.dumps(result.as_json(), option=orjson.OPT_INDENT_2))


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items()) or "none"


def _by_first_word(counts: Mapping[str, int]) -> Counter[str]:
    found: Counter[str] = Counter()
    for name, count in counts.items():
        found[name.partition(":")[0]] += count
    return found
