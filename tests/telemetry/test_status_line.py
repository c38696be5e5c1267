"""The live line of `reelwire run`, and the log lines that pass it."""

from __future__ import annotations

import io

import pytest

from service.telemetry.metrics import Metrics
from service.telemetry.status_line import StatusLine, status_line, status_text


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def visible_lines(text: str) -> list[str]:
    """What a terminal shows: a carriage return with an erasure begins the line again."""
    return [line.rpartition("\r\x1b[2K")[2] for line in text.split("\n")]


def test_lines_of_the_log_stay_whole_and_the_line_stays_last() -> None:
    terminal = Terminal()
    line = StatusLine(terminal)
    line.show("jobs 1")
    line.write("first\n")
    line.write("sec")
    line.show("jobs 2")  # in the middle of a line: shown when that has ended
    line.write("ond\n")
    assert visible_lines(terminal.getvalue()) == ["first", "second", "jobs 2"]
    line.show("")
    assert visible_lines(terminal.getvalue()) == ["first", "second", ""]


def test_the_line_is_cut_to_the_width_so_that_it_can_be_taken_back() -> None:
    terminal = Terminal()
    StatusLine(terminal).show("x" * 500)
    assert len(visible_lines(terminal.getvalue())[0]) == 79


def test_it_is_on_terminals_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    with status_line(io.StringIO()) as none:
        assert none is None
    with status_line(Terminal()) as some:
        assert some is not None
    monkeypatch.setenv("TERM", "dumb")
    with status_line(Terminal()) as none:
        assert none is None


def test_it_tells_partitions_jobs_by_phase_and_lag() -> None:
    metrics = Metrics()
    metrics.partitions.labels("serving").set(2)
    metrics.jobs.labels("streaming").set(3)
    metrics.jobs.labels("watching").set(4)
    metrics.jobs.labels("ready").set(0)
    metrics.input_lag.labels("0").set(5)
    metrics.input_lag.labels("1").set(6)
    assert status_text(metrics) == "partitions 2 (2 serving) | jobs 7 (3 streaming, 4 watching) | lag 11"


def test_a_terminal_that_has_gone_away_does_not_end_the_service() -> None:
    terminal = Terminal()
    line = StatusLine(terminal)
    terminal.close()
    line.show("jobs 1")
    line.show("jobs 2")
    assert terminal.closed
