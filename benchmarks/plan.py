"""What is run, in full and for a smoke test."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.rolling import Plan as Moves
from benchmarks.workload import Workload

PARTS = ("paced", "fast", "jobs", "latency", "holding", "noticing", "turns", "moves", "dedup", "profile")


@dataclass(frozen=True, slots=True)
class Plan:
    """`rounds` of throughput and of latency; `held`: tasks and finished requests of each restore.

    `noticing`: tasks of each kind, those that run before them, and how much of 60 to 120 s each takes.
    `turns`: requests of a backfill, of a flood, and of those that are looked at behind them.
    """

    rounds: int
    latency_rounds: int
    paced: Workload
    fast: Workload
    jobs: Workload
    latency: Workload
    held: tuple[tuple[int, int], ...]
    dedup_entries: int
    noticing: tuple[int, int, float]
    turns: tuple[int, int, int]
    moves: Moves


FULL = Plan(
    rounds=3,
    latency_rounds=2,
    paced=Workload(jobs=200, lines=250, rate=50, at_once=200),
    fast=Workload(jobs=200, lines=200, rate=0, at_once=200),
    jobs=Workload(jobs=600, lines=20, rate=0, at_once=200),
    latency=Workload(jobs=100, lines=100, rate=20, at_once=20),
    held=((0, 0), (1_000, 0), (10_000, 0), (10_000, 1_000_000)),
    dedup_entries=1_000_000,
    noticing=(100, 20, 1.0),
    turns=(5_000, 1_000, 20),
    moves=Moves(),
)

QUICK = Plan(
    rounds=1,
    latency_rounds=1,
    paced=Workload(jobs=20, lines=50, rate=50, at_once=20),
    fast=Workload(jobs=20, lines=50, rate=0, at_once=20),
    jobs=Workload(jobs=40, lines=10, rate=0, at_once=20),
    latency=Workload(jobs=8, lines=20, rate=20, at_once=4),
    held=((0, 0), (100, 1_000)),
    dedup_entries=50_000,
    noticing=(6, 6, 0.1),
    turns=(300, 300, 2),
    moves=Moves(requests=10, seconds=3, processes=2, restarts=1, every=5, drain=20),
)
