"""Everything the console knows of requests, within bounds, whatever is in the topics and in whatever order it is read.

Topics have no order between them: a completion may be read before the last progress, a job's record after its
completion. So nothing here depends on that order. Events of a lower run are ignored, and a higher run begins anew.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any, Final, Protocol, TypeGuard

from service.console.model.completions import SeenNames, end_of
from service.console.model.entry import End, Entry, Key, Step
from service.console.model.event import attempt_of, instant_ms, run_of, step_detail
from service.console.model.request import kept_request
from service.console.model.spending import SpendingByDay
from service.console.model.text import Added
from service.domain.job import Job

_ANSWERS: Final = frozenset({"duplicate", "cancel_ignored"})
"""Progress on a record that is no job of its own: said of ended and unknown requests too."""
_ENDS: Final = ("completed", "failed", "canceled")
_MOST_LIVE: Final = 50_000
_LONGEST_ID: Final = 512


class Listener(Protocol):
    """Told of every change at once. Must not block or raise."""

    def changed(self, entry: Entry) -> None:
        """The line of the request in a list has changed, in more than the length of its text."""

    def grew(self, entry: Entry, added: Added, time_ms: int) -> None:
        """Its text has, or begins anew."""

    def stepped(self, entry: Entry, step: Step) -> None:
        """It has made progress."""

    def ended(self, entry: Entry) -> None:
        """Its completion is known. Nothing more comes of this run."""

    def forgot(self) -> None:
        """Everything that was known is void: the topics are read anew."""


class Board:
    """Live and ended requests. `max_ended` of the latter are kept, and about `max_bytes` of texts of both."""

    def __init__(self, listener: Listener, *, max_ended: int, max_bytes: int) -> None:
        self._listener = listener
        self._max_ended, self._max_bytes = max_ended, max_bytes
        self._begin_empty()

    def _begin_empty(self) -> None:
        self.live: dict[Key, Entry] = {}
        self.ended: OrderedDict[Key, Entry] = OrderedDict()
        self.ends: Counter[str] = Counter()
        """How many of the ended ones have ended how."""
        self.left_out = 0
        """How many ended ones were read and are kept no more."""
        self._unplaced: OrderedDict[Key, Entry] = OrderedDict()
        """Those of which neither a job nor a completion was read yet."""
        self._by_id: dict[str, list[Entry]] = {}
        self._with_raw: OrderedDict[Key, None] = OrderedDict()
        self._seen = SeenNames()
        self.bytes = 0
        self.fragments = 0
        """How many were read since the start."""
        self.spending = SpendingByDay()

    def forget(self) -> None:
        """Begin again with nothing: offsets of topics that were made anew say nothing about what is known."""
        self._begin_empty()
        self._listener.forgot()

    def __repr__(self) -> str:
        return f"<Board: {len(self.live)} live, {len(self.ended)} ended, {self.bytes} bytes>"

    def all(self) -> Iterator[Entry]:
        """Live and ended requests, in no order."""
        yield from self.live.values()
        yield from self.ended.values()

    def find(self, request_id: str) -> Entry | None:
        """The request of this id; where there are several, in other partitions, the one accepted last."""
        known = [one for one in self._by_id.get(request_id, ()) if one.live or one.end is not None]
        return max(known, key=lambda one: (one.end is None, one.accepted_ms), default=None)

    def take_job(self, partition: int, offset: int, request_id: str, job: Job | None) -> None:
        """A record of the jobs topic; None: the job has ended."""
        if not _is_id(request_id):
            return
        place = partition, request_id
        entry = self._known(place)
        if entry is not None and offset <= entry.job_offset:
            return
        if job is None:
            if entry is not None:
                entry.job_offset = offset
                entry.live = False
                if self.live.pop(place, None) is not None:
                    self._unplaced[place] = entry
                    self._bound()
            return
        if entry is None or job.run > entry.run:
            entry = self._begin(place, job.run)
        elif job.run < entry.run:
            return
        entry.job_offset = offset
        self._fill(entry, job)
        if entry.end is None:
            entry.live = True
            self._unplaced.pop(place, None)
            self.live[place] = entry
            if job.phase.value != entry.phase:
                entry.phase, entry.waits = job.phase.value, None
            entry.attempt = max(entry.attempt, job.event_attempt)
            self._listener.changed(entry)
        self._bound()

    def take_progress(self, partition: int, offset: int, timestamp_ms: int, event: dict[str, Any]) -> None:
        """A record of the progress topic."""
        request_id, kind, run = event.get("request_id"), event.get("type"), run_of(event)
        if not _is_id(request_id) or not isinstance(kind, str):
            return
        place = partition, request_id
        entry = self._known(place)
        if kind in _ANSWERS and entry is None:
            return
        if entry is None or run > entry.run:
            entry = self._begin(place, run)
        elif run < entry.run:
            return
        time_ms = instant_ms(event.get("time"), timestamp_ms)
        step = Step(offset, time_ms, kind, attempt_of(event), step_detail(event))
        if not entry.add_step(step):
            return
        if kind not in _ANSWERS:
            self._move_on(entry, step, event)
        self._listener.stepped(entry, step)
        if entry.live or entry.end is not None:
            self._listener.changed(entry)
        self._bound()

    def take_fragment(self, partition: int, timestamp_ms: int, event: dict[str, Any]) -> None:
        """A record of the fragments topic. The most frequent of all: nothing is done twice here."""
        self.fragments += 1
        request_id, sequence, text = event.get("request_id"), event.get("sequence"), event.get("text")
        if not _is_id(request_id) or not isinstance(sequence, int) or not isinstance(text, str):
            return
        place, run = (partition, request_id), run_of(event)
        entry = self._known(place)
        if entry is None or run > entry.run:
            entry = self._begin(place, run)
        elif run < entry.run or entry.end is not None:
            return
        before = entry.text.held_bytes
        added = entry.text.take(attempt_of(event), sequence, text)
        self.bytes += entry.text.held_bytes - before
        if added is None:
            if self.bytes > self._max_bytes:
                self._bound()
            return
        entry.updated_ms = timestamp_ms
        if entry.text.attempt > entry.attempt:
            entry.attempt = entry.text.attempt
            self._listener.changed(entry)
        self._listener.grew(entry, added, timestamp_ms)
        if self.bytes > self._max_bytes:
            self._bound()

    def take_completion(
        self,
        partition: int,
        offset: int,
        timestamp_ms: int,
        raw: bytes,
        event: dict[str, Any],
        name: tuple[str, str] | None,
    ) -> None:
        """A record of the completions topic. `name`: `ce_source` and `ce_id`; a repetition changes nothing."""
        request_id, kind, run = event.get("request_id"), event.get("type"), run_of(event)
        if not _is_id(request_id) or kind not in _ENDS:
            return
        time_ms = instant_ms(event.get("time"), timestamp_ms)
        if not self._seen.add(name or ("", f"{partition} {request_id} {run} {event.get('time')}")):
            return
        end = end_of(event, raw, kind, offset, time_ms)
        tenant = event.get("tenant")
        self.spending.add(time_ms, tenant if isinstance(tenant, str) else None, end.cost, end.billed_minutes)
        place = partition, request_id
        entry = self._known(place)
        if entry is None or run > entry.run:
            entry = self._begin(place, run)
        elif run < entry.run or entry.end is not None:
            return
        self._end(entry, end, event)
        self._bound()

    def _known(self, place: Key) -> Entry | None:
        return self.live.get(place) or self.ended.get(place) or self._unplaced.get(place)

    def _begin(self, place: Key, run: int) -> Entry:
        """A request, or a higher run of one, of which nothing is known yet."""
        old = self._known(place)
        if old is not None:
            self._drop(old)
        entry = Entry(place[1], place[0], run)
        if old is not None:  # what does not change from run to run
            entry.request, entry.digest, entry.key, entry.tenant = old.request, old.digest, old.key, old.tenant
        self._unplaced[place] = entry
        self._by_id.setdefault(entry.id, []).append(entry)
        self.bytes += entry.held_bytes
        return entry

    def _drop(self, entry: Entry) -> None:
        place = entry.place
        if self.ended.pop(place, None) is not None:
            self.ends[entry.shown_phase] -= 1
        for of in (self.live, self._unplaced, self._with_raw):
            of.pop(place, None)
        self.bytes -= entry.held_bytes
        same = self._by_id.get(entry.id, [])
        if entry in same:
            same.remove(entry)
        if not same:
            self._by_id.pop(entry.id, None)

    def _fill(self, entry: Entry, job: Job) -> None:
        """What a job's record says of its request."""
        entry.accepted_ms = job.accepted_ms
        entry.updated_ms = max(entry.updated_ms, job.attempt_started_ms or 0, job.progress_ms or 0, job.accepted_ms)
        entry.key = None if job.key is None else job.key.decode("utf-8", "replace")
        entry.duration_s = job.duration if job.duration is not None else entry.duration_s
        if job.mode is not None:
            entry.mode = job.mode.value
        if entry.digest == job.digest:
            return  # the same request as in the record before
        request = kept_request(job.body)
        self.bytes += len(request.raw) - len(entry.request or b"")
        entry.request, entry.digest = request.raw, job.digest
        entry.tenant, entry.priority = request.tenant, request.priority

    def _move_on(self, entry: Entry, step: Step, event: dict[str, Any]) -> None:
        entry.updated_ms = max(entry.updated_ms, step.time_ms)
        entry.attempt = max(entry.attempt, step.attempt)
        entry.waits = str(step.detail.get("reason")) if step.type == "waiting" else None
        if isinstance(event.get("tenant"), str):
            entry.tenant = event["tenant"]
        if step.type == "accepted" and not entry.accepted_ms:
            entry.accepted_ms = step.time_ms
        duration = step.detail.get("duration")
        if step.type == "asset_ready" and isinstance(duration, int | float):
            entry.duration_s = float(duration)

    def _end(self, entry: Entry, end: End, event: dict[str, Any]) -> None:
        place = entry.place
        self.bytes += len(end.raw or b"") - entry.text.held_bytes
        entry.text.lose()  # the completion holds it
        entry.end, entry.live = end, False
        entry.updated_ms = max(entry.updated_ms, end.time_ms)
        entry.attempt = max(entry.attempt, end.attempt)
        entry.mode = event["mode"] if isinstance(event.get("mode"), str) else entry.mode
        entry.tenant = event["tenant"] if isinstance(event.get("tenant"), str) else entry.tenant
        if not entry.accepted_ms:
            timings = event.get("timings")
            total = timings.get("total") if isinstance(timings, dict) else None
            entry.accepted_ms = end.time_ms - round(total * 1000 if isinstance(total, int | float) else 0)
        for of in (self.live, self._unplaced):
            of.pop(place, None)
        self.ended[place] = entry
        self.ends[end.type] += 1
        self._with_raw[place] = None
        self._listener.ended(entry)
        self._listener.changed(entry)

    def _bound(self) -> None:
        """Let go of what is beyond the bounds: the oldest first, and texts of ended requests before those of others."""
        while len(self.ended) > self._max_ended:
            self._drop(next(iter(self.ended.values())))
            self.left_out += 1
        while len(self._unplaced) > self._max_ended:
            self._drop(next(iter(self._unplaced.values())))
        while len(self.live) > _MOST_LIVE:
            self._drop(next(iter(self.live.values())))
        while self.bytes > self._max_bytes and self._lighten():
            pass

    def _lighten(self) -> bool:
        """Let go of one text. False when there is none."""
        if self._with_raw:
            place, _ = self._with_raw.popitem(last=False)
            entry = self.ended[place]
            before = entry.held_bytes
            entry.end = _without_raw(entry.end)
            entry.request, entry.digest = None, ""
            self.bytes += entry.held_bytes - before
            return True
        if self._unplaced:
            self._drop(next(iter(self._unplaced.values())))
            return True
        return self._lose_longest(self.live.values())

    def _lose_longest(self, entries: Iterable[Entry]) -> bool:
        longest = max(entries, key=lambda one: one.held_bytes, default=None)
        if longest is None or not longest.held_bytes:
            return False
        self.bytes -= longest.held_bytes
        if longest.text.held_bytes >= len(longest.request or b""):
            longest.text.lose()
        else:
            longest.request = None
        self.bytes += longest.held_bytes
        return True


def _is_id(value: object) -> TypeGuard[str]:
    """Whether it can be the id of a request; foreign records may hold anything there."""
    return isinstance(value, str) and len(value) <= _LONGEST_ID


def _without_raw(end: End | None) -> End | None:
    return None if end is None else replace(end, raw=None)
