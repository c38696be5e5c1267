"""Figures taken at regular times of the day, and whether they stayed the same. Reads `/proc` and folders, no more."""

from __future__ import annotations

import csv
import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.endurance.day import HALF, HOURS

_MIB = 1024 * 1024
# The second half of each rush: what is held in the first one's beginning is still that of a young process.
_WINDOW = (6.0, 11.0)
_TAKEOVER = "takeover"


@dataclass(frozen=True, slots=True)
class Sample:
    """One figure at an hour of the day."""

    hour: float
    name: str
    value: float


@dataclass(frozen=True, slots=True)
class Bound:
    """How much a figure may grow from the first half of the day to the second."""

    times: float
    plus: float
    unit: str


@dataclass(frozen=True, slots=True)
class Growth:
    """A figure in both halves of the day: the median of the same hours."""

    name: str
    first: float
    second: float
    bound: Bound

    @property
    def flat(self) -> bool:
        return self.second <= self.first * self.bound.times + self.bound.plus

    def __str__(self) -> str:
        word = "flat" if self.flat else "GROWS"
        return f"{self.name}: {self.first:.1f} {self.bound.unit}, then {self.second:.1f} {self.bound.unit} ({word})"


def bound_of(name: str) -> Bound:
    """Memory may grow by a tenth, descriptors by eight; a topic by a quarter, since segments end at any time."""
    if name.startswith("memory"):
        return Bound(1.10, 4.0, "MiB")
    if name.startswith("topic"):
        return Bound(1.25, 1.0, "MiB")
    if name.startswith(_TAKEOVER):
        return Bound(1.5, 0.5, "s")
    return Bound(1.0, 8.0, "open")


def growths(samples: Iterable[Sample], hours: float = HOURS) -> list[Growth]:
    """Every figure in both halves. A day of fewer hours is measured in the same parts."""
    scale = hours / HOURS
    halves: dict[str, tuple[list[float], list[float]]] = defaultdict(lambda: ([], []))
    for sample in samples:
        half = int(sample.hour / (HALF * scale))
        since = sample.hour / scale - HALF * half
        wide = sample.name.startswith(_TAKEOVER)
        if half < 2 and (wide or _WINDOW[0] <= since <= _WINDOW[1]):
            halves[sample.name][half].append(sample.value)
    return [
        Growth(name, statistics.median(first), statistics.median(second), bound_of(name))
        for name, (first, second) in sorted(halves.items())
        if first and second
    ]


def of_process(hour: float, name: str, pid: int) -> list[Sample]:
    """Memory and open descriptors of a process. Raises `OSError` when it has ended."""
    proc = Path(f"/proc/{pid}")
    lines = proc.joinpath("status").read_text().splitlines()
    resident = next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))
    descriptors = sum(1 for _ in proc.joinpath("fd").iterdir())
    return [
        Sample(hour, f"memory of {name}", resident / 1024),
        Sample(hour, f"descriptors of {name}", descriptors),
    ]


def of_topics(hour: float, logs: Path, names: Mapping[str, str]) -> list[Sample]:
    """Sizes on the broker's disk of the topics with these names (role to name). Blocks."""
    sizes: dict[str, int] = dict.fromkeys(names, 0)
    for role, name in names.items():
        for folder in logs.glob(f"{name}-*"):
            for file in folder.glob("*.log"):
                try:
                    sizes[role] += file.stat().st_size
                except FileNotFoundError:
                    continue  # retention has just deleted it
    return [Sample(hour, f"topic {role}", size / _MIB) for role, size in sizes.items()]


def save(samples: Sequence[Sample], file: Path) -> None:
    """Write them as CSV."""
    with file.open("w", newline="", encoding="utf-8") as out:
        writer = csv.writer(out)
        writer.writerow(["hour", "name", "value"])
        writer.writerows([f"{one.hour:.3f}", one.name, f"{one.value:.3f}"] for one in samples)


def draw(samples: Sequence[Sample], file: Path) -> None:
    """The same as a picture: memory, descriptors, topics, takeovers."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(2, 2, figsize=(11, 6.4))
    parts = {"memory": "MiB", "descriptors": "open", "topic": "MiB", _TAKEOVER: "s"}
    for axis, (part, unit) in zip(axes.flat, parts.items(), strict=True):
        for name in sorted({one.name for one in samples if one.name.startswith(part)}):
            own = [one for one in samples if one.name == name]
            style = "o" if part == _TAKEOVER else "-"
            label = name.removeprefix(part).removeprefix(" of ").removeprefix(", ").strip()
            axis.plot([one.hour for one in own], [one.value for one in own], style, label=label, linewidth=1)
        axis.set_title(part, fontsize=9)
        axis.set_ylabel(unit)
        axis.set_ylim(bottom=0)
        axis.set_xlabel("hour of the day", fontsize=8)
        axis.legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(file, dpi=110)
    plt.close(figure)
