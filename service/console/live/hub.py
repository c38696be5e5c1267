"""Passes changes on to viewers. Each event is encoded once for all, and only when somebody watches."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

from service.console.live.messages import Message, completion, encoded, fragment, progress, restart
from service.console.live.viewer import Viewer
from service.console.model.board import Board
from service.console.model.cursor import cursor_of
from service.console.model.entry import Entry, Key, Step, row_of
from service.console.model.listing import phases_of
from service.console.model.text import Added

TICK_SECONDS: Final = 0.25
"""Lists are told of changes so often."""
_TICKS_OF_TEXTS: Final = 4
_MOST_ROWS: Final = 1_000

_NOBODY: Final[set[Viewer]] = set()
ProcessOf = Callable[[int], str | None]
"""Which process a partition is served by."""


class TooManyViewers(Exception):
    """As many streams as `max_viewers` are open."""


class Hub:
    """The listener of its board. `tick` is called four times a second."""

    def __init__(self, process_of: ProcessOf, *, max_viewers: int, max_ended: int, max_bytes: int) -> None:
        self.board = Board(self, max_ended=max_ended, max_bytes=max_bytes)
        self._process_of = process_of
        self._max_viewers = max_viewers
        self._lists: set[Viewer] = set()
        self._of_requests: dict[str, set[Viewer]] = {}
        self._rows: dict[Key, Entry] = {}
        self._texts: dict[Key, Entry] = {}
        self._ticks = 0
        self._last_fragments, self._seconds = 0, 0.0
        self._last_counts: dict[str, Any] = {}
        self._rate = 0.0

    def __repr__(self) -> str:
        return f"<Hub: {len(self._lists)} lists, {self.viewers - len(self._lists)} of single requests>"

    @property
    def viewers(self) -> int:
        """How many streams are open."""
        return len(self._lists) + sum(len(viewers) for viewers in self._of_requests.values())

    def watch_list(self) -> Viewer:
        """A viewer of the list. Raises `TooManyViewers`. The caller ends it with `forget`."""
        viewer = self._new()
        self._lists.add(viewer)
        return viewer

    def watch(self, request_id: str) -> Viewer:
        """A viewer of one request, which need not be known yet. Raises `TooManyViewers`."""
        viewer = self._new()
        self._of_requests.setdefault(request_id, set()).add(viewer)
        return viewer

    def forget(self, viewer: Viewer, request_id: str | None = None) -> None:
        """The stream has ended."""
        if request_id is None:
            self._lists.discard(viewer)
            return
        viewers = self._of_requests.get(request_id, set())
        viewers.discard(viewer)
        if not viewers:
            self._of_requests.pop(request_id, None)

    def close(self) -> None:
        """End all streams: the console stops."""
        for viewer in self._all():
            viewer.close()

    # The listener of the board

    def changed(self, entry: Entry) -> None:
        if self._lists:
            self._rows[entry.place] = entry

    def grew(self, entry: Entry, added: Added, time_ms: int) -> None:
        if self._lists:
            self._texts[entry.place] = entry
        viewers = self._viewers_of(entry)
        if viewers:
            cursor = cursor_of(entry)
            if added.restarted:
                self._offer(viewers, restart(cursor._replace(fragments=0), entry.text.attempt))
            if added.text:
                self._offer(viewers, fragment(cursor, entry.text.attempt, added.sequence, added.text, time_ms))

    def stepped(self, entry: Entry, step: Step) -> None:
        viewers = self._viewers_of(entry)
        if viewers and entry.end is None:  # behind the completion nothing is told
            self._offer(viewers, progress(cursor_of(entry), step))

    def ended(self, entry: Entry) -> None:
        viewers = self._viewers_of(entry)
        if viewers:
            self._offer(viewers, completion(entry))

    def forgot(self) -> None:
        self._rows.clear()
        self._texts.clear()
        self._last_fragments = 0
        for viewer in self._all():
            viewer.lose()

    def _all(self) -> list[Viewer]:
        return [*self._lists, *(one for viewers in self._of_requests.values() for one in viewers)]

    def _viewers_of(self, entry: Entry) -> set[Viewer]:
        """Who watches this request: none when another one of its id, in another partition, is the one that is shown."""
        viewers = self._of_requests.get(entry.id)
        if viewers and self.board.find(entry.id) in (None, entry):
            return viewers
        return _NOBODY

    # The list

    def tick(self, seconds: float) -> None:
        """Tell the lists what has changed. `seconds` have passed since the last tick."""
        self._ticks += 1
        self._seconds += seconds
        if self._ticks % _TICKS_OF_TEXTS == 0:
            self._rate = (self.board.fragments - self._last_fragments) / max(self._seconds, 0.001)
            self._last_fragments, self._seconds = self.board.fragments, 0.0
        if not self._lists:
            self._rows.clear()
            self._texts.clear()
            return
        rows = [self._rows.pop(place) for place in list(self._rows)[:_MOST_ROWS]]
        texts: dict[str, int] = {}
        if self._ticks % _TICKS_OF_TEXTS == 0:
            texts = {entry.id: entry.characters for entry in self._texts.values()}
            self._texts.clear()
        counts = self.counts()
        if rows or texts or counts != self._last_counts:
            self._last_counts = counts
            shown = [row_of(entry, self._process_of(entry.partition)) for entry in rows]
            self._offer(self._lists, Message(encoded("rows", {"rows": shown, "texts": texts, **counts})))

    def counts(self) -> dict[str, Any]:
        """How many requests there are, by phase, and how fast text comes in."""
        return {
            "phases": {**phases_of(self.board.live.values()), **+self.board.ends},
            "live": len(self.board.live),
            "ended": len(self.board.ended),
            "left_out": self.board.left_out,
            "fragments_per_second": round(self._rate, 1),
        }

    def first(self) -> Message:
        """What a new viewer of the list is told at once."""
        return Message(encoded("rows", {"rows": [], "texts": {}, **self.counts()}))

    def _offer(self, viewers: set[Viewer], message: Message) -> None:
        for viewer in viewers:
            viewer.offer(message)

    def _new(self) -> Viewer:
        if self.viewers >= self._max_viewers:
            raise TooManyViewers
        return Viewer()


async def ticking(hub: Hub) -> None:
    """Call `tick` four times a second, without end."""
    loop = asyncio.get_running_loop()
    last = loop.time()
    while True:
        await asyncio.sleep(TICK_SECONDS)
        now = loop.time()
        hub.tick(now - last)
        last = now
