"""How a backfill is shown: a bar on a terminal, a line now and then elsewhere, JSON lines for programs."""

from __future__ import annotations

import sys
import time
from dataclasses import asdict
from types import TracebackType
from typing import Protocol, Self

from rich.console import Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from service.backfill.estimate import Need
from service.backfill.status import Plan, Screen, Status
from service.cli.views.output import console, elapsed, emit, note
from service.cli.words import visible
from service.domain.result.cost import cost_words

_LIVE_SECONDS = 0.25
_LINE_SECONDS = 10.0
_BAR_COLUMNS = 40


class BackfillScreen(Screen, Protocol):
    """A screen that must be closed."""

    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def backfill_screen(*, as_json: bool) -> BackfillScreen:
    """The screen for this kind of output."""
    if as_json:
        return _JsonScreen()
    return _LiveScreen() if sys.stderr.isatty() else _LineScreen()


class _Open:
    every_seconds = _LINE_SECONDS

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def note(self, text: str) -> None:
        note(text)


class _JsonScreen(_Open):
    def show(self, status: Status) -> None:
        if status.phase != "ended":
            emit({"type": "progress"} | as_members(status))


class _LineScreen(_Open):
    """One line every ten seconds."""

    def show(self, status: Status) -> None:
        if status.phase != "ended":
            note("; ".join(words(status)))


class _LiveScreen(_Open):
    """Redrawn in place, on stderr: stdout holds results only."""

    every_seconds = _LIVE_SECONDS

    def __init__(self) -> None:
        self._console = console(stderr=True)
        self._live = Live(console=self._console, refresh_per_second=4, transient=True)
        self._began = time.monotonic()

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def show(self, status: Status) -> None:
        if status.phase == "ended":
            self._live.update(Text(""))
            return
        done = Table.grid(padding=(0, 1))
        total = float(max(status.total, 1))
        done.add_row(
            ProgressBar(total=total, completed=min(total, float(status.counts.ended)), width=_BAR_COLUMNS),
            Text(elapsed(time.monotonic() - self._began), style="dim"),
        )
        self._live.update(Group(done, *(Text(visible(line)) for line in words(status))))

    def note(self, text: str) -> None:
        self._live.console.print(Text(visible(text), style="yellow"))


def words(status: Status) -> list[str]:
    """How far it is, in some short lines."""
    if status.phase == "reading":
        return ["reading what is in the topics" + (f": {status.read:,} records so far" if status.read else "")]
    if status.phase == "read":
        return [f"read what is in the topics: {status.read:,} records"]
    counts = status.counts
    of = f"{status.total:,}" if status.counted else f"more than {status.total:,}, still counting"
    lines = [f"sent {counts.sent:,} of {of}, {counts.completed:,} completed, {counts.failed:,} failed"]
    if counts.canceled or counts.unknown:
        lines[0] += f", {counts.canceled:,} canceled, {counts.unknown:,} unknown"
    left = [] if status.seconds_left is None else [f"{elapsed(status.seconds_left)} left"]
    if status.cost is not None:
        left.append(f"{cost_words(status.cost, status.currency)} so far")
    if status.left is not None:
        left.append("to come: " + _need(status.left, status.currency))
    lines.append(", ".join(left))
    if status.reason is not None:
        lines.append(f"waiting: {status.reason}")
    elif status.phase == "waiting":
        lines.append(f"all sent; {counts.open:,} still to end")
    return [line for line in lines if line]


def end_words(status: Status, *, whole: bool) -> str:
    """The line at the end: how far it came. After a stop the number of objects is of those that were looked at."""
    counts = status.counts
    cost = "" if status.cost is None else f", {cost_words(status.cost, status.currency)}"
    objects = f"{counts.listed:,} objects"
    if not whole and not status.counted:
        objects += " looked at, of more"
    elif not whole and counts.listed < status.total:
        objects += f" looked at, of {status.total:,}"
    return (
        f"{objects}: {counts.completed:,} completed, {counts.failed:,} failed, "
        f"{counts.canceled + counts.unknown:,} canceled or unknown, {counts.open:,} under way; "
        f"{status.sent_now:,} sent now; {counts.minutes:,.1f} min billed{cost}"
    )


def _need(one: Need, currency: str | None) -> str:
    cost = "" if one.cost is None else f", {cost_words(one.cost, currency)}"
    return f"{one.minutes:,.1f} min{cost} ({one.basis})"


def plan_words(plan: Plan) -> list[str]:
    """What a dry run found, in lines."""
    lines = [
        f"{plan.objects:,} objects, {size_words(plan.bytes)}; {plan.sent_before:,} were sent before",
        f"would send {plan.to_send:,} requests, {size_words(plan.to_send_bytes)}",
        f"needs about {_need(plan.need, plan.currency)}",
    ]
    if plan.seconds is not None:
        lines.append(f"sending takes at least {elapsed(plan.seconds)} at this rate")
    return lines


def size_words(count: int) -> str:
    """A number of bytes for people, in units of 1,000."""
    size = float(count)
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1_000:
            return f"{size:,.0f} {unit}" if unit == "bytes" else f"{size:,.1f} {unit}"
        size /= 1_000
    return f"{size:,.1f} TB"


def as_members(status: Status) -> dict[str, object]:
    """The members of a JSON line."""
    members = asdict(status)
    counts = members.pop("counts")
    return {**members, **{name: counts[name] for name in _TOLD}}


_TOLD = ("listed", "sent", "open", "completed", "failed", "canceled", "unknown", "minutes")
