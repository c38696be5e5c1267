"""What libraries repeat is folded, and so are our own lines about records."""

from __future__ import annotations

import logging
from typing import Any

import pytest
import structlog

from service.telemetry.events import CAUSED_BY_RECORDS, LogEvent
from service.telemetry.repetition import EVENTS_IN_WINDOW, WINDOW_SECONDS, EventFolding, Folding

pytestmark = pytest.mark.unit


class Log:
    """Messages that pass, at a time the test says."""

    def __init__(self) -> None:
        self.now = 100.0
        self.folding = Folding(lambda: self.now)

    def __call__(self, template: str, *args: object, name: str = "aiokafka", level: int = logging.ERROR) -> str | None:
        record = logging.LogRecord(name, level, "", 0, template, args, None)
        return record.getMessage() if self.folding.filter(record) else None


def test_a_few_of_a_kind_pass_and_the_rest_of_the_window_does_not() -> None:
    log = Log()

    assert [log("no node %s", number) for number in range(5)] == ["no node 0", "no node 1", "no node 2", None, None]


def test_the_next_window_begins_with_how_many_were_dropped() -> None:
    log = Log()
    for number in range(8):
        log("no node %s", number)
    log.now += WINDOW_SECONDS

    assert log("no node %s", 8) == "no node 8 (and 5 like it before)"
    assert log("no node %s", 9) == "no node 9"


def test_other_wordings_levels_and_loggers_are_counted_apart() -> None:
    log = Log()
    for _ in range(5):
        log("again")

    assert log("again") is None
    assert log("other") == "other"
    assert log("again", level=logging.WARNING) == "again"
    assert log("again", name="asyncio") == "again"


def test_wordings_without_end_need_no_memory_without_end() -> None:
    log = Log()
    for number in range(5000):
        assert log(f"wording {number}") is not None

    assert len(log.folding.windows) <= 1000


class Events:
    """Our own events that pass, at a time the test says."""

    def __init__(self) -> None:
        self.now = 100.0
        self.folding = EventFolding(lambda: self.now)

    def __call__(self, event: LogEvent, **members: Any) -> dict[str, Any] | None:
        try:
            return dict(self.folding(None, "warning", {"event": event, **members}))
        except structlog.DropEvent:
            return None


@pytest.mark.parametrize("event", sorted(CAUSED_BY_RECORDS))
def test_a_stream_of_bad_records_is_a_bounded_number_of_lines(event: LogEvent) -> None:
    events = Events()
    written = [events(event, offset=offset) for offset in range(EVENTS_IN_WINDOW + 50)]

    assert written[:EVENTS_IN_WINDOW] == [{"event": event, "offset": offset} for offset in range(EVENTS_IN_WINDOW)]
    assert written[EVENTS_IN_WINDOW:] == [None] * 50
    events.now += WINDOW_SECONDS
    assert events(event) == {"event": event, "not_logged": 50}
    assert events(event) == {"event": event}


def test_each_event_has_its_own_share_and_the_others_are_all_written() -> None:
    events = Events()
    for _ in range(EVENTS_IN_WINDOW + 1):
        events(LogEvent.RECORD_REJECTED)

    assert events(LogEvent.RECORD_REJECTED) is None
    assert events(LogEvent.DEAD_LETTER_CUT) is not None
    assert all(events(LogEvent.JOB_ENDED) for _ in range(5 * EVENTS_IN_WINDOW))
