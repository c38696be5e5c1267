"""The same figures as plots."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl

from benchmarks.results import Results
from benchmarks.summary import CONTESTANTS, THROUGHPUT, late, throughput, title

mpl.use("Agg")
from matplotlib import pyplot as plt

_COLOURS = {"reelwire": "#1b7f5c", "sdk": "#c8553d", "sdk-send": "#e8a87c", "floor": "#8d99ae"}


def draw(results: Results, folder: Path) -> list[Path]:
    """Write a plot for each part that was measured; returns the files."""
    folder.mkdir(parents=True, exist_ok=True)
    plotted = [_cpu(results, folder), _latency(results, folder), _restore(results, folder)]
    return [file for file in plotted if file is not None]


def _cpu(results: Results, folder: Path) -> Path | None:
    parts = [part for part in THROUGHPUT if results.rows(part)]
    if not parts:
        return None
    figure, axes = plt.subplots(1, len(parts), figsize=(4.2 * len(parts), 3.4), squeeze=False)
    for axis, part in zip(axes[0], parts, strict=True):
        lines = throughput(results, part)
        names = [line.contestant for line in lines]
        costs = [line.cpu_us for line in lines]
        spreads = [
            [line.cpu_us - line.spread[0] for line in lines],
            [line.spread[1] - line.cpu_us for line in lines],
        ]
        bars = axis.bar(names, costs, yerr=spreads, color=[_COLOURS[name] for name in names], capsize=3)
        axis.bar_label(bars, fmt="%.0f", padding=2)
        axis.set_yscale("log")
        axis.set_ylim(1, 3 * max(costs))
        axis.set_title(title(results, part), fontsize=8)
        axis.set_ylabel("CPU µs per fragment")
    return _saved(figure, folder / "cpu.png")


def _latency(results: Results, folder: Path) -> Path | None:
    contestants = [name for name in CONTESTANTS if results.rows("latency", contestant=name)]
    if not contestants:
        return None
    figure, axes = plt.subplots(1, 2, figsize=(11, 3.8))
    for axis, what in zip(axes, ("fragments", "completions"), strict=True):
        labels, values, colours = [], [], []
        for isolation in ("read_uncommitted", "read_committed"):
            for name in contestants:
                for quantile in ("p50", "p99"):
                    labels.append(f"{name} {isolation.removeprefix('read_')} {quantile}")
                    values.append(late(results, name, isolation, what, quantile) or 0.0)
                    colours.append(_COLOURS[name])
        bars = axis.barh(labels, values, color=colours)
        axis.bar_label(bars, fmt="%.1f", padding=2, fontsize=7)
        axis.tick_params(axis="y", labelsize=6)
        axis.invert_yaxis()
        axis.set_xscale("log")
        axis.set_xlim(0.1, 4 * max(values))
        axis.set_xlabel("ms from the platform's write to a reader's hands")
        axis.set_title(what, fontsize=9)
    return _saved(figure, folder / "latency.png")


def _restore(results: Results, folder: Path) -> Path | None:
    rows = results.rows("holding")
    if not rows:
        return None
    figure, axis = plt.subplots(figsize=(6, 3.2))
    labels = [f"{row['held']['tasks']:,} live\n{row['held']['finished']:,} finished" for row in rows]
    places = range(len(rows))
    for offset, member, label in ((-0.2, "jobs_live", "jobs live"), (0.2, "intake_open", "intake open")):
        bars = axis.bar(
            [place + offset for place in places], [row["restored"][member] for row in rows], 0.4, label=label
        )
        axis.bar_label(bars, fmt="%.1f", padding=2, fontsize=8)
    axis.set_xticks(list(places), labels, fontsize=8)
    axis.set_ylabel("seconds since the kill was noticed")
    axis.legend()
    return _saved(figure, folder / "restore.png")


def _saved(figure: plt.Figure, file: Path) -> Path:
    figure.tight_layout()
    figure.savefig(file, dpi=110)
    plt.close(figure)
    return file
