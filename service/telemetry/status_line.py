"""The last line of a terminal on which `reelwire run` writes its log: what the process is doing now.

The line is taken away before a line of the log is written, and put back behind it, so neither breaks the other.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TextIO, cast

from prometheus_client import Gauge

from service.telemetry.metrics import Metrics

REFRESH_SECONDS = 0.5
_ERASE = "\r\x1b[2K"
_USUAL_COLUMNS = 80


class StatusLine:
    """A stream for logs that keeps one more line at its end. Used by all threads that log."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()
        self._shown = ""
        self._at_line_start = True

    def isatty(self) -> bool:
        """What the stream beneath says: logs are coloured by it."""
        return self._stream.isatty()

    def write(self, text: str) -> int:
        """Write a piece of the log. The line comes back when the piece ends with a line feed."""
        with self._lock:
            if self._at_line_start and self._shown:
                self._stream.write(_ERASE)
            written = self._stream.write(text)
            self._at_line_start = text.endswith("\n") if text else self._at_line_start
            if self._at_line_start:
                self._stream.write(self._shown)
        return written

    def flush(self) -> None:
        """Flush the stream beneath."""
        with self._lock:
            self._stream.flush()

    def show(self, text: str) -> None:
        """Replace the line, cut to the terminal's width. A terminal that has gone away is no error of the service's."""
        with self._lock, suppress(OSError, ValueError):
            shown = text[: self._columns() - 1]
            if self._at_line_start and shown != self._shown:
                self._stream.write(_ERASE + shown)
                self._stream.flush()
            self._shown = shown

    def _columns(self) -> int:
        try:
            return os.get_terminal_size(self._stream.fileno()).columns or _USUAL_COLUMNS
        except (OSError, ValueError, AttributeError):
            return _USUAL_COLUMNS


@contextmanager
def status_line(stream: TextIO) -> Iterator[StatusLine | None]:
    """The line at the end of `stream` if that is a terminal that can take a line back, else None; gone afterwards."""
    if not stream.isatty() or os.environ.get("TERM", "dumb") == "dumb":
        yield None
        return
    line = StatusLine(stream)
    try:
        yield line
    finally:
        line.show("")


def as_stream(line: StatusLine) -> TextIO:
    """The line where a stream of text is asked for; it has what loggers use of one."""
    return cast("TextIO", line)


async def keep_status(line: StatusLine, metrics: Metrics) -> None:
    """Renew the line for ever."""
    while True:
        line.show(status_text(metrics))
        await asyncio.sleep(REFRESH_SECONDS)


def status_text(metrics: Metrics) -> str:
    """Partitions by state, jobs by phase, and the lag of the input, in one line."""
    partitions = _by_label(metrics.partitions, "state")
    jobs = _by_label(metrics.jobs, "phase")
    lag = sum(sample.value for family in metrics.input_lag.collect() for sample in family.samples)
    return f"{_counted('partitions', partitions)} | {_counted('jobs', jobs)} | lag {lag:.0f}"


def _by_label(gauge: Gauge, label: str) -> dict[str, int]:
    samples = [sample for family in gauge.collect() for sample in family.samples]
    return {sample.labels[label]: round(sample.value) for sample in samples if round(sample.value)}


def _counted(name: str, counts: dict[str, int]) -> str:
    parts = ", ".join(f"{count} {label}" for label, count in counts.items())
    return f"{name} {sum(counts.values())}" + (f" ({parts})" if parts else "")
