"""`python -m benchmarks`: measure, show, write results, plots and `docs/benchmarks.md`."""

from __future__ import annotations

import asyncio
import os
import shlex
import sys
from dataclasses import asdict, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from benchmarks import rolling
from benchmarks.contestants import Contestant, Floor, Reelwire, SdkLoop
from benchmarks.cpu import go_first, machine
from benchmarks.dedup import measure_dedup
from benchmarks.holding import Holder
from benchmarks.latency import measure_latency
from benchmarks.noticing import measure_noticing
from benchmarks.page import write_page
from benchmarks.plan import FULL, PARTS, QUICK, Plan
from benchmarks.plots import draw
from benchmarks.profiling import profile
from benchmarks.results import Results, Row
from benchmarks.screen import show
from benchmarks.stage import Stage
from benchmarks.summary import THROUGHPUT
from benchmarks.turns import measure_turns
from benchmarks.workload import Workload

_ROOT = Path(__file__).resolve().parents[1]


class Run:
    """One run: parts are measured one after another and saved as they end."""

    def __init__(self, plan: Plan, results: Results, file: Path, command: str) -> None:
        self._plan = plan
        self._results = results
        self._file = file
        self._command = command

    async def measure(self, parts: tuple[str, ...]) -> None:
        self._results.machine = dict(machine())
        async with Stage() as stage:
            self._results.broker = stage.broker
            for part in parts:
                load = os.getloadavg()[0]
                rows, work = await self._part(stage, part)
                self._results.add(part, self._command, load, rows, work)
                self._results.write(self._file)

    async def _part(self, stage: Stage, part: str) -> tuple[list[Row], Row]:
        plan = self._plan
        match part:
            case "paced" | "fast" | "jobs":
                return await self._throughput(stage, part)
            case "latency":
                rows: list[Row] = []
                for number in range(plan.latency_rounds):
                    for contestant in (Reelwire(), SdkLoop(), *([SdkLoop("send")] if number == 0 else [])):
                        _tell(part, number, contestant.name)
                        rows += [asdict(late) for late in await measure_latency(stage, contestant, plan.latency)]
                return rows, asdict(plan.latency)
            case "holding":
                rows = []
                for tasks, finished in plan.held:
                    print(f"holding: {tasks:,} tasks, {finished:,} finished requests", flush=True)
                    held, restored = await Holder(stage, tasks, finished).measure()
                    rows.append({"held": asdict(held), "restored": asdict(restored)})
                return rows, {}
            case "noticing":
                noticed, begun = await measure_noticing(stage, *plan.noticing)
                return [*map(asdict, noticed), {"kind": "assets", **asdict(begun)}], {}
            case "turns":
                return [asdict(waited) for waited in await measure_turns(stage, *plan.turns)], {}
            case "moves":
                return [await rolling.measure(plan.moves, stage.servers)], asdict(plan.moves)
            case "dedup":
                return [asdict(await asyncio.to_thread(measure_dedup, plan.dedup_entries))], {}
            case "profile":
                rows = []
                for name in THROUGHPUT:
                    _tell(part, 0, name)
                    work: Workload = getattr(plan, name)
                    longer = work if work.rate else replace(work, jobs=5 * work.jobs)
                    rows.append(await profile(stage, name, longer))
                return rows, {}
            case _:
                raise ValueError(part)

    async def _throughput(self, stage: Stage, part: str) -> tuple[list[Row], Row]:
        work = getattr(self._plan, part)
        rows: list[Row] = []
        for number in range(self._plan.rounds):
            contestants: list[Contestant] = [Reelwire(), SdkLoop(), Floor()]
            if number == 0:
                contestants.append(SdkLoop("send"))
            for contestant in contestants:
                _tell(part, number, contestant.name)
                rows.append({"round": number, **asdict(await contestant.measure(stage, work))})
        return rows, asdict(work)


def _command(arguments: list[str]) -> str:
    """As it was called, but for the folder."""
    kept = [
        word for before, word in pairwise(["", *arguments]) if not word.startswith("--output") and before != "--output"
    ]
    return shlex.join(["python", "-m", "benchmarks", *kept])


def _tell(part: str, number: int, contestant: str) -> None:
    print(f"{part}, round {number + 1}: {contestant} (load {os.getloadavg()[0]:.1f})", flush=True)


def _go_first(_context: Any, _option: Any, wanted: bool) -> bool:
    if wanted:
        go_first()
    return wanted


@click.command(help="Reelwire, the plain SDK loop and the floor, in one run.")
@click.option("--quick", is_flag=True, help="A smoke run of a minute or two; its figures say nothing.")
@click.option("--only", type=click.Choice(PARTS), multiple=True, help="Measure this part only; may be repeated.")
@click.option("--output", type=click.Path(path_type=Path), help="Folder for results and plots; no page is written.")
@click.option("--report", is_flag=True, help="Measure nothing: show and write what the results file holds.")
@click.option(
    "--first", is_flag=True, callback=_go_first,
    help="Run everything ahead of the machine's other processes (Linux, root): for a machine with others on it.",
)  # fmt: skip
def main(quick: bool, only: tuple[str, ...], output: Path | None, report: bool, first: bool) -> None:
    """Run what was asked for."""
    del first
    folder = output or (_ROOT / "build" / "bench" if quick else _ROOT / "docs" / "benchmarks")
    file = folder / "results.json"
    results = Results() if quick and not report else Results.read(file)
    if not report:
        command = _command(sys.argv[1:])
        asyncio.run(Run(QUICK if quick else FULL, results, file, command).measure(only or PARTS))
    show(results, Console())
    plots = draw(results, folder)
    if output is None and not quick:
        write_page(results, plots, _ROOT / "docs" / "benchmarks.md")
    print(f"results and plots: {folder}")


if __name__ == "__main__":
    main()
