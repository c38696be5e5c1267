"""`docs/benchmarks.md`, written from the results."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.latency import ISOLATION_LEVELS
from benchmarks.noticing import KINDS
from benchmarks.results import Results
from benchmarks.summary import CONTESTANTS, THROUGHPUT, late, targets, throughput, title
from benchmarks.turns import KINDS as BEHIND

_HEAD = """# Benchmarks

Written by `python -m benchmarks`; do not edit. The remarks at the end come from `benchmarks/remarks.md`.

Three contestants, alternating in one run against one broker and one platform stand-in, each measured as a process of
its own:

- **reelwire**: `reelwire run`, default settings but for the number of streams.
- **sdk**: the straightforward loop with the official SDK and aiokafka (`benchmarks/sdk_loop.py`), awaiting each
  fragment's delivery. This is the one the targets compare with. **sdk-send** hands fragments to the producer without
  waiting, and so does not know what was lost.
- **floor**: bare aiohttp reading and decoding every line, and an idempotent aiokafka producer sending as many records,
  in one process; no requests, no state, no completions. Like Reelwire, it sends one record for each network read.

A fragment is one text event of the platform; CPU is user and system time of the whole process, divided by those
fragments. Figures are medians over the rounds. What counts are the ratios: absolute figures belong to the machine and
to its load.
"""


def write_page(results: Results, plots: list[Path], page: Path) -> None:
    """Write the page; plots are linked relative to it."""
    parts: list[str] = [
        _HEAD,
        _machine(results),
        _targets(results),
        *_throughput(results),
        _latency(results),
        _holding(results),
        _noticing(results),
        _turns(results),
        _moves(results),
        _profile(results),
    ]
    parts += [f"![{plot.stem}]({plot.relative_to(page.parent)})\n" for plot in plots]
    remarks = Path(__file__).with_name("remarks.md")
    parts.append(remarks.read_text())
    page.write_text("\n".join(part for part in parts if part))


def _machine(results: Results) -> str:
    lines = [f"- {name}: {value}" for name, value in results.machine.items()]
    lines.append(f"- broker: {results.broker}")
    for name, part in results.parts.items():
        load = " to ".join(f"{load:g}" for load in part["load"])
        lines.append(f"- {name}: `{part['command']}`, {part['measured_at']}, commit {part['commit']}, load {load}")
    return "## Where, when\n\n" + "\n".join(lines) + "\n"


def _targets(results: Results) -> str:
    rows = [
        (target.what, target.wanted, target.found, "yes" if target.met else "**no**") for target in targets(results)
    ]
    return "## Targets\n\n" + _table(("what", "wanted", "found", "met"), rows)


def _throughput(results: Results) -> list[str]:
    sections = []
    for part in THROUGHPUT:
        rows = [
            (
                line.contestant,
                f"{line.cpu_us:.1f} ({line.spread[0]:.1f} to {line.spread[1]:.1f})",
                f"{line.fragments_per_second:,.0f}",
                f"{line.jobs_per_second:.1f}",
                f"{line.core_share:.0%}",
                f"{line.lines_per_record:.1f}",
                str(line.rounds),
            )
            for line in throughput(results, part)
        ]
        names = ("", "CPU µs per fragment", "fragments/s", "jobs/s", "of a core", "fragments per record", "rounds")
        if rows:
            sections.append(f"## {title(results, part)}\n\n" + _table(names, rows))
    return sections


def _latency(results: Results) -> str:
    rows = []
    for contestant in CONTESTANTS:
        for isolation in ISOLATION_LEVELS:
            cells = [
                late(results, contestant, isolation, what, quantile)
                for what in ("fragments", "completions")
                for quantile in ("p50", "p99")
            ]
            if None not in cells:
                rows.append((contestant, isolation, *(f"{cell:.1f}" for cell in cells)))
    if not rows:
        return ""
    names = ("", "reader", "fragment p50 ms", "p99 ms", "completion p50 ms", "p99 ms")
    words = (
        "From the platform's write to a reader's hands (confluent-kafka, its own process), 20 streams, 20 a second.\n"
    )
    return "## How late readers are\n\n" + words + "\n" + _table(names, rows)


def _holding(results: Results) -> str:
    rows = []
    for row in results.rows("holding"):
        held, restored = row["held"], row["restored"]
        per_task = (held["rss"] - held["rss_empty"]) / 1024 / held["tasks"] if held["tasks"] else 0.0
        rows.append(
            (
                f"{held['tasks']:,}",
                f"{held['finished']:,}",
                f"{held['rss'] / 2**20:.0f}",
                f"{per_task:.1f}" if held["tasks"] else "",
                f"{held['young_cpu_share']:.0%}, {held['cpu_share']:.0%}",
                f"{held['health_ms_p50']:.1f} / {held['health_ms_max']:.1f}",
                f"{restored['noticed']:.1f}",
                f"{restored['jobs_live']:.1f}",
                f"{restored['intake_open']:.1f}",
            )
        )
    if not rows:
        return ""
    names = (
        "tasks", "finished", "memory MiB", "KiB per task", "of a core: young, settled",
        "/health/live p50 / worst ms", "kill noticed after s", "all jobs live s", "intake open s",
    )  # fmt: skip
    words = (
        "Running asynchronous tasks held by one process, then a SIGKILL and a successor: the last two columns count"
        " from the moment the group gives it the partitions.\n"
    )
    found = "## Held tasks and takeover\n\n" + words + "\n" + _table(names, rows)
    for row in results.rows("dedup"):
        found += (
            f"\nDedup window: {row['restored']} bytes a finished request after a restore ({row['restoring_peak']} while"
            f" it runs), {row['grown']} when they came one by one; {row['entries']:,} entries.\n"
        )
    return found


def _noticing(results: Results) -> str:
    rows = []
    for kind, words in KINDS.items():
        for row in results.rows("noticing", kind=kind):
            cells = (row["late_ms_p50"], row["late_ms_p99"])
            late = (f"{cell / 1000:.2f}" for cell in cells)
            rows.append((words, f"{row['tasks']}", *late, f"{row['looks']:.1f}", f"{row['rows']:.1f}"))
    if not rows:
        return ""
    names = (
        "tasks that take",
        "tasks",
        "end noticed late p50 s",
        "p99 s",
        "looks at each",
        "rows of lists that show it",
    )
    found = "## How late ends of tasks are noticed\n\n" + _table(names, rows)
    for row in results.rows("noticing", kind="assets"):
        found += (
            f"\nFrom a new video being ready (within 5 s) to its analysis being asked for: {row['ms_p50']:.0f} ms at"
            f" p50, {row['ms_p99']:.0f} ms at p99 ({row['assets']} videos).\n"
        )
    return found


def _turns(results: Results) -> str:
    rows = [
        (
            BEHIND[row["kind"]].format(others=row["others"]),
            f"{row['ms_p50'] / 1000:.2f}",
            f"{row['ms_max'] / 1000:.2f}",
            str(row["count"]),
        )
        for row in results.rows("turns")
    ]
    if not rows:
        return ""
    words = (
        "From the request in its topic to `stream_started` in a reader's hands: one process, 200 streams of 1 to 3"
        " s at once, one request after the other.\n"
    )
    names = ("who, behind whom", "p50 s", "worst s", "requests")
    return "## Turns: how long a request waits behind those of others\n\n" + words + "\n" + _table(names, rows)


def _moves(results: Results) -> str:
    rows = []
    for row in results.rows("moves"):
        still, accepted = row["standstill_ms"], row["accepted_ms"]
        rows.append(
            (
                f"{row['restarts']}", f"{row['requests']}", f"{row['billed_calls']}", f"{row['handed_over']}",
                f"{row['interrupted']}", f"{still['p50']} / {still['worst']}", f"{accepted['p50']} / {accepted['p99']}",
            )
        )  # fmt: skip
    if not rows:
        return ""
    names = (
        "restarts", "requests", "billed", "handed over", "cut off",
        "intake of a partition stands still p50 / worst ms", "any request accepted after p50 / p99 ms",
    )  # fmt: skip
    words = (
        "Four processes with streams of 30 s are restarted one after the other, with SIGTERM. Standstill: for each"
        " restart and partition the longest that a request waited to be accepted.\n"
    )
    return "## Rolling restarts\n\n" + words + "\n" + _table(names, rows)


def _profile(results: Results) -> str:
    found = ""
    for row in results.rows("profile"):
        shares = [(area, f"{share:.0%}") for area, share in row["areas"] if share >= 0.01]
        functions = [(name.replace("|", ""), f"{share:.1%}") for name, share in row["functions"][:12]]
        found += f"\n### {row['work']}\n\n"
        found += _table(("whose code", "CPU"), shares) + "\n" + _table(("function", "itself"), functions)
    return "## Where the service's CPU time goes\n" + found if found else ""


def _table(names: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = ["| " + " | ".join(names) + " |", "|" + "---|" * len(names)]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines) + "\n"
