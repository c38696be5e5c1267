"""The tables on the terminal."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from benchmarks.latency import ISOLATION_LEVELS
from benchmarks.results import Results
from benchmarks.summary import CONTESTANTS, THROUGHPUT, late, targets, throughput, title


def show(results: Results, console: Console) -> None:
    """Everything that was measured, then the targets."""
    for part in THROUGHPUT:
        lines = throughput(results, part)
        if lines:
            names = ("", "CPU µs/fragment", "fragments/s", "jobs/s", "of a core", "fragments/record")
            table = _table(title(results, part), *names)
            for line in lines:
                table.add_row(
                    line.contestant,
                    f"{line.cpu_us:.1f}",
                    f"{line.fragments_per_second:,.0f}",
                    f"{line.jobs_per_second:.1f}",
                    f"{line.core_share:.0%}",
                    f"{line.lines_per_record:.1f}",
                )
            console.print(table)
    if results.rows("latency"):
        table = _table("late by, ms", "", "reader", "fragment p50", "p99", "completion p50", "p99")
        for contestant in CONTESTANTS:
            for isolation in ISOLATION_LEVELS:
                cells = [
                    late(results, contestant, isolation, what, quantile)
                    for what in ("fragments", "completions")
                    for quantile in ("p50", "p99")
                ]
                if None not in cells:
                    table.add_row(contestant, isolation, *(f"{cell:.1f}" for cell in cells))
        console.print(table)
    if results.rows("holding"):
        columns = (
            "tasks",
            "finished",
            "memory MiB",
            "KiB/task",
            "health max ms",
            "noticed s",
            "jobs live s",
            "intake s",
        )
        table = _table("held tasks and their takeover", *columns)
        for row in results.rows("holding"):
            held, restored = row["held"], row["restored"]
            table.add_row(
                f"{held['tasks']:,}",
                f"{held['finished']:,}",
                f"{held['rss'] / 2**20:.0f}",
                f"{(held['rss'] - held['rss_empty']) / 1024 / max(1, held['tasks']):.1f}" if held["tasks"] else "",
                f"{held['health_ms_max']:.0f}",
                f"{restored['noticed']:.1f}",
                f"{restored['jobs_live']:.1f}",
                f"{restored['intake_open']:.1f}",
            )
        console.print(table)
    table = _table("targets", "", "wanted", "found", "")
    for target in targets(results):
        table.add_row(target.what, target.wanted, target.found, "met" if target.met else "[red]missed")
    console.print(table)


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left")
    for number, column in enumerate(columns):
        table.add_column(column, justify="left" if number == 0 else "right")
    return table
