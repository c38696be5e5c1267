"""Follows the pauses in the ledger topic, in every process."""

from __future__ import annotations

from collections.abc import Callable, Collection

import structlog

from service.domain.shares.pauses import Pause, Scope
from service.kafka.control.records import UnreadablePause, decode_pause, is_pause
from service.kafka.ports import InRecord
from service.kafka.reading.fetched import Fetched, UnreadableRange
from service.kafka.reading.topic_tail import Listener, Tail
from service.telemetry.events import LogEvent

log = structlog.get_logger()

OnPauses = Callable[[Collection[Pause]], None]


class PauseFold:
    """Which pauses the records so far leave; of each key the last one counts. Pure."""

    def __init__(self) -> None:
        self._pauses: dict[Scope, Pause] = {}

    def __repr__(self) -> str:
        return f"<PauseFold {sorted(scope.name for scope in self._pauses)}>"

    @property
    def pauses(self) -> Collection[Pause]:
        """Those that nobody has resumed; some may have ended by themselves."""
        return list(self._pauses.values())

    def take(self, record: Fetched) -> bool:
        """Take the next record. Whether it was about a pause."""
        if isinstance(record, UnreadableRange) or not is_pause(record.key):
            return False
        try:
            scope, pause = decode_pause(record.key or b"", record.value)
        except UnreadablePause as error:
            log.error(LogEvent.LEDGER_RECORD_UNREADABLE, offset=record.offset, reason=str(error))
            return False
        if pause is None:
            self._pauses.pop(scope, None)
        else:
            self._pauses[scope] = pause
        return True


class PauseLog:
    """One per process: tells `on_pauses` which pauses there are, first when `tail` is ready and then at every change.

    Nothing that costs is begun before. While no broker answers, what was known last stays in force.
    """

    def __init__(self, tail: Tail, on_pauses: OnPauses) -> None:
        self._tail = tail
        self._on_pauses = on_pauses
        self._fold = PauseFold()
        self._changed = True
        tail.listen(Listener(self._take, self._read, self._anew))

    def __repr__(self) -> str:
        return f"<PauseLog {self._fold!r}>"

    def _take(self, record: InRecord, _: float | None) -> None:
        if self._fold.take(record):
            self._changed = True

    def _read(self) -> None:
        if self._changed and self._tail.ready.is_set():
            self._changed = False
            self._on_pauses(self._fold.pauses)

    def _anew(self) -> None:
        self._fold = PauseFold()
        self._changed = True
