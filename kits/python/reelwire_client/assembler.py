"""Turns records into streams, one for each run of a request. Pure: no I/O, no clock, no asyncio.

What it sorts out, so that nobody has to:

- *Attempts.* A higher attempt begins again, fragments of a lower one are void: they come from a process that was taken
  for dead.
- *Duplicates.* A fragment is known by attempt and sequence, everything else by `ce_source` and `ce_id`.
- *Order between topics.* Within a topic's partition records are in order; between topics nothing is. A completion may
  be read before the last fragments, which then are late: what was missing is taken from the completion's text.
- *Gaps.* The text shown is always the beginning of the attempt's text. A reader that joins in the middle of a stream
  sees nothing of it until its completion, which holds the whole text.
- *Memory.* Bounded by the three numbers of the constructor, whatever is in the topics.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TypeGuard, TypeVar, cast

from reelwire_client.changes import (
    Change,
    Ended,
    Forgotten,
    Ignored,
    Progressed,
    Refused,
    Repeated,
    Restarted,
    Skipped,
    StreamId,
    TextAdded,
)
from reelwire_client.events import COMPLETIONS_TYPES, Completion, Event, Fragment, Progress
from reelwire_client.records import DeadLetter, NotAnEvent, Record, read

_PIECE_COST = 64
"""What a held piece of text counts beside its characters."""
_ANSWERS = frozenset({"duplicate", "cancel_ignored"})
"""Progress on a record that is no job of its own: said of ended and unknown requests too."""
_Name = tuple[str, str]
Key = TypeVar("Key")
Value = TypeVar("Value")


class _Live:
    """A stream that has not ended."""

    __slots__ = ("attempt", "cost", "early", "next", "shown")

    def __init__(self) -> None:
        self.attempt = 0
        self.next = 0
        self.shown: list[str] = []
        self.early: dict[int, str] = {}
        self.cost = _PIECE_COST

    def begin(self, attempt: int) -> None:
        self.attempt, self.next, self.cost = attempt, 0, _PIECE_COST
        self.shown, self.early = [], {}

    def hold(self, text: str) -> None:
        self.cost += len(text) + _PIECE_COST


class Assembler:
    """`take` each record, in the order in which it was read; topics may be interleaved in any way.

    `max_live`: streams followed at once; beyond it the one that was silent for longest is forgotten.
    `max_ended`: ended streams that are remembered, so that late and repeated records of theirs are known.
    `max_held`: characters of text that are held for live streams, each piece counted as 64 more.
    """

    def __init__(self, *, max_live: int = 10_000, max_ended: int = 50_000, max_held: int = 64 * 1024 * 1024) -> None:
        if min(max_live, max_ended, max_held) < 1:
            raise ValueError("max_live, max_ended and max_held must be at least 1")
        self._max_live, self._max_ended, self._max_held = max_live, max_ended, max_held
        self._live: OrderedDict[StreamId, _Live] = OrderedDict()
        self._ended: OrderedDict[StreamId, None] = OrderedDict()
        self._completions: OrderedDict[_Name, tuple[int, str]] = OrderedDict()
        self._told: OrderedDict[_Name, None] = OrderedDict()
        self._held = 0

    @property
    def live(self) -> int:
        """How many streams are followed."""
        return len(self._live)

    @property
    def held(self) -> int:
        """How much text is held, counted as for `max_held`."""
        return self._held

    def shown(self, stream: StreamId) -> str:
        """The text of a live stream so far; empty when there is none."""
        live = self._live.get(stream)
        return "".join(live.shown) if live else ""

    def find(self, request_id: str) -> list[StreamId]:
        """The live streams of this request id."""
        return [stream for stream in self._live if stream.request_id == request_id]

    def has_ended(self, request_id: str, run: int | None = None) -> bool:
        """Whether the end of this request, or of this run of it, is remembered."""
        return any(known.request_id == request_id and run in (None, known.run) for known in self._ended)

    def take(self, record: Record) -> list[Change]:
        """What this record changes. Never raises for what a record holds."""
        try:
            found = read(record)
        except NotAnEvent as error:
            return [Skipped(str(error))]
        if isinstance(found, DeadLetter):
            return [Refused(found)]
        stream = StreamId(record.partition, found["request_id"], found["run"])
        if found["type"] == "fragment":
            changes = self._fragment(stream, found)
        elif _is_completion(found):
            changes = self._completion(stream, found, _name(record, stream, found))
        else:
            told = cast("Progress", found)
            changes = self._progress(stream, told, _name(record, stream, told))
        changes += self._within_bounds()
        return changes

    def drop_partition(self, partition: int) -> list[Change]:
        """Forget the live streams of a partition that is read elsewhere from now on."""
        gone = [stream for stream in self._live if stream.partition == partition]
        for stream in gone:
            self._held -= self._live.pop(stream).cost
        return [Forgotten(stream) for stream in gone]

    def _fragment(self, stream: StreamId, event: Fragment) -> list[Change]:
        if stream in self._ended:
            return [Ignored(stream, "late")]
        live = self._touch(stream)
        attempt, sequence, text = event["attempt"], event["sequence"], event["text"]
        if attempt < live.attempt:
            return [Ignored(stream, "lower_attempt")]
        changes: list[Change] = []
        self._held -= live.cost
        if attempt > live.attempt:
            if live.attempt:
                changes.append(Restarted(stream, attempt))
            live.begin(attempt)
        if sequence < live.next or sequence in live.early:
            changes.append(Ignored(stream, "duplicate"))
        elif sequence > live.next:
            live.early[sequence] = text
            live.hold(text)
        else:
            added = [text]
            live.next += 1
            live.hold(text)
            while live.next in live.early:
                added.append(live.early.pop(live.next))
                live.next += 1
            if shown := "".join(added):
                live.shown.append(shown)
                changes.append(TextAdded(stream, attempt, shown))
        self._held += live.cost
        return changes

    def _completion(self, stream: StreamId, event: Completion, name: _Name) -> list[Change]:
        first, this = self._completions.get(name), (event["attempt"], event.get("time", ""))
        if first is not None:
            return [Repeated(stream, event, first == this)]
        _remember(self._completions, name, this, self._max_ended)
        _remember(self._ended, stream, None, self._max_ended)
        live = self._live.pop(stream, None)
        self._held -= live.cost if live else 0
        changes: list[Change] = []
        if event["type"] == "completed":
            changes += _rest(stream, live or _Live(), event["attempt"], event["text"])
        changes.append(Ended(stream, event))
        return changes

    def _progress(self, stream: StreamId, event: Progress, name: _Name) -> list[Change]:
        if name in self._told:
            return [Ignored(stream, "duplicate")]
        _remember(self._told, name, None, self._max_ended)
        if event["type"] not in _ANSWERS:
            if stream in self._ended:
                return [Ignored(stream, "late")]
            self._touch(stream)
        return [Progressed(stream, event)]

    def _touch(self, stream: StreamId) -> _Live:
        live = self._live.get(stream)
        if live is None:
            live = self._live[stream] = _Live()
            self._held += live.cost
        self._live.move_to_end(stream)
        return live

    def _within_bounds(self) -> list[Change]:
        changes: list[Change] = []
        while len(self._live) > self._max_live or (self._held > self._max_held and self._live):
            stream, live = self._live.popitem(last=False)
            self._held -= live.cost
            changes.append(Forgotten(stream))
        return changes


def _rest(stream: StreamId, live: _Live, attempt: int, text: str) -> list[Change]:
    """What is still to be shown of a completion's text, after what was shown of it live."""
    shown = "".join(live.shown)
    changes: list[Change] = []
    if (live.attempt and live.attempt != attempt) or not text.startswith(shown):
        changes.append(Restarted(stream, attempt))
        shown = ""
    if rest := text[len(shown) :]:
        changes.append(TextAdded(stream, attempt, rest))
    return changes


def _is_completion(event: Event) -> TypeGuard[Completion]:
    return event["type"] in COMPLETIONS_TYPES


def _name(record: Record, stream: StreamId, event: Completion | Progress) -> _Name:
    """What tells a repetition. A record that lost its headers on the way is known by what it says."""
    source, identifier = record.header("ce_source"), record.header("ce_id")
    if source is None or identifier is None:
        return "", f"{stream} {event['type']} {event['attempt']} {event.get('time', '')}"
    return source, identifier


def _remember(known: OrderedDict[Key, Value], key: Key, value: Value, most: int) -> None:
    known[key] = value
    known.move_to_end(key)
    while len(known) > most:
        known.popitem(last=False)
