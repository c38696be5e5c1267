"""Draws the panels of a Grafana dashboard, at their places, in its colours. No more than the dashboard uses."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import matplotlib as mpl

from benchmarks.board_queries import Line

mpl.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

_BACK, _PANEL, _TEXT, _FAINT = "#111217", "#181b1f", "#d8d9da", "#8e8e96"
_NAMED = {"green": "#37872d", "orange": "#c4660c", "red": "#b3262e", None: "#3d4148"}
_LINES = ["#73bf69", "#f2cc0c", "#5794f2", "#ff9830", "#b877d9", "#f2495c", "#8ab8ff", "#fade2a", "#96d98d", "#ca95e5"]
_COLUMN, _ROW = 0.72, 0.36
_PAD = 0.07
_MOST_NAMES = 9


def draw(board: dict[str, Any], answers: dict[int, list[Line]], picture: Path) -> None:
    """Write the picture of the whole dashboard."""
    height = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in board["panels"])
    figure = plt.figure(figsize=(24 * _COLUMN, height * _ROW), facecolor=_BACK)
    for panel in board["panels"]:
        axis = _place(figure, panel["gridPos"], height, row=panel["type"] == "row")
        kind = {"row": _row, "stat": _stat, "timeseries": _timeseries, "bargauge": _bars, "table": _table}
        kind[panel["type"]](axis, panel, answers[panel["id"]])
    picture.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(picture, dpi=75, facecolor=_BACK)
    plt.close(figure)


def _place(figure: Figure, at: dict[str, int], height: int, *, row: bool) -> Axes:
    left, width = at["x"] / 24, at["w"] / 24
    bottom, tall = 1 - (at["y"] + at["h"]) / height, at["h"] / height
    pad_x, pad_y = _PAD / (24 * _COLUMN), _PAD / (height * _ROW)
    back = figure.add_axes((left + pad_x, bottom + pad_y, width - 2 * pad_x, tall - 2 * pad_y))
    back.set_facecolor(_BACK if row else _PANEL)
    for side in back.spines.values():
        side.set_visible(False)
    back.set_xticks([])
    back.set_yticks([])
    return back


def _row(axis: Axes, panel: dict[str, Any], _lines: list[Line]) -> None:
    axis.text(
        0.004, 0.5, panel["title"], color=_TEXT, fontsize=13, weight="bold", va="center", transform=axis.transAxes
    )


def _titled(axis: Axes, panel: dict[str, Any]) -> None:
    axis.text(0.02, 0.97, panel["title"], color=_TEXT, fontsize=9, va="top", transform=axis.transAxes)


def _stat(axis: Axes, panel: dict[str, Any], lines: list[Line]) -> None:
    defaults = panel["fieldConfig"]["defaults"]
    value = lines[0].points[-1][1] if lines else None
    if value is not None:
        colour = None
        for step in defaults["thresholds"]["steps"]:
            if step["value"] is None or value >= step["value"]:
                colour = step["color"]
        axis.set_facecolor(_NAMED[colour])
    shown = defaults["noValue"] if value is None else _number(value, defaults["unit"], defaults.get("decimals"))
    if value is not None and lines[0].name:
        shown = f"{shown} {lines[0].name}"
    axis.text(0.5, 0.42, shown, color="white", fontsize=19, ha="center", va="center", transform=axis.transAxes)
    _titled(axis, panel)


def _timeseries(axis: Axes, panel: dict[str, Any], lines: list[Line]) -> None:
    _titled(axis, panel)
    if not lines:
        axis.text(0.5, 0.5, "nothing", color=_FAINT, ha="center", va="center", transform=axis.transAxes)
        return
    inner = axis.inset_axes((0.11, 0.27, 0.86, 0.58))
    inner.set_facecolor(_PANEL)
    defaults = panel["fieldConfig"]["defaults"]
    if defaults["custom"]["stacking"]["mode"] == "normal":
        times = sorted({at for line in lines for at, _ in line.points})
        heights = [[dict(line.points).get(at, 0.0) for at in times] for line in lines]
        inner.stackplot(times, heights, colors=_colours(len(lines)), alpha=0.75)
    else:
        for line, colour in zip(lines, _colours(len(lines)), strict=True):
            inner.plot(*zip(*line.points, strict=True), color=colour, linewidth=1.1)
    for step in defaults.get("thresholds", {}).get("steps", [])[1:]:
        inner.axhline(step["value"], color=_NAMED["red"], linestyle="--", linewidth=1)
    inner.set_ylim(bottom=defaults.get("min"))
    inner.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _number(value, defaults["unit"], None)))
    inner.xaxis.set_major_formatter(FuncFormatter(lambda at, _: time.strftime("%H:%M", time.gmtime(at))))
    inner.locator_params(axis="both", nbins=4)
    inner.tick_params(colors=_FAINT, labelsize=7, length=0)
    inner.grid(visible=True, color="#2c3036", linewidth=0.6)
    for side in inner.spines.values():
        side.set_visible(False)
    _legend(axis, [line.name or panel["title"] for line in lines])


def _legend(axis: Axes, names: list[str]) -> None:
    """Names below, in their colours; what does not fit is left out."""
    place, row = 0.03, 0.12
    for name, colour in list(zip(names, _colours(len(names)), strict=True))[:_MOST_NAMES]:
        width = 0.035 + 0.0145 * len(name) * 6 / (axis.get_position().width * 24)
        if place + width > 0.99:
            place, row = 0.03, row - 0.085
            if row < 0:
                return
        axis.text(place, row, f"━ {name}", color=colour, fontsize=7, va="center", transform=axis.transAxes)
        place += width


def _bars(axis: Axes, panel: dict[str, Any], lines: list[Line]) -> None:
    _titled(axis, panel)
    defaults = panel["fieldConfig"]["defaults"]
    ordered = sorted(lines, key=lambda line: -line.points[-1][1])[:8]
    largest = max((line.points[-1][1] for line in ordered), default=1.0) or 1.0
    for number, line in enumerate(ordered):
        value, low = line.points[-1][1], 0.8 - number * 0.1
        axis.barh(low, 0.58 * value / largest, left=0.24, height=0.07, color="#5794f2")
        axis.text(0.02, low, line.name, color=_TEXT, fontsize=8, va="center")
        shown = _number(value, defaults["unit"], defaults.get("decimals"))
        axis.text(0.25 + 0.58 * value / largest, low, shown, color=_TEXT, fontsize=8, va="center")
    axis.set_xlim(0, 1)
    axis.set_ylim(0, 1)


def _table(axis: Axes, panel: dict[str, Any], lines: list[Line]) -> None:
    _titled(axis, panel)
    for number, line in enumerate(lines[:8] or [Line("nothing")]):
        axis.text(0.03, 0.8 - number * 0.1, line.name, color=_TEXT, fontsize=9, va="center", transform=axis.transAxes)


def _colours(count: int) -> list[str]:
    return [_LINES[number % len(_LINES)] for number in range(count)]


def _number(value: float, unit: str, decimals: int | None) -> str:
    """A value as Grafana shows it with a unit that the dashboard uses."""
    if unit == "percentunit":
        return f"{value * 100:.{decimals or 0}f} %"
    if unit == "s":
        return f"{value * 1000:.0f} ms" if 0 < value < 1 else f"{value:.{1 if decimals is None else decimals}f} s"
    if unit in {"bytes", "Bps"}:
        power = next((p for p in (3, 2, 1) if value >= 1024**p), 0)
        return f"{value / 1024**power:.{0 if power == 0 else 1}f} {('B', 'KiB', 'MiB', 'GiB')[power]}" + (
            "/s" if unit == "Bps" else ""
        )
    suffix = {"reqps": "/s", "cps": "/s", "m": " min"}.get(unit, "")
    if decimals is not None:
        return f"{value:,.{decimals}f}{suffix}"
    return f"{value:,.0f}{suffix}" if value == round(value) or value >= 100 else f"{value:.2g}{suffix}"
