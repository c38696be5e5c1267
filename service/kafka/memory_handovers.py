"""The handovers topic in memory: for tests of what stands above it."""

from __future__ import annotations

import asyncio
from collections import defaultdict

from service.domain.handover import Note
from service.kafka.handover_port import OnNote
from service.kafka.ports import ReadNote, RecordPosition

TOPIC = "handovers"


class MemoryNotes:
    """The notes of every partition, for all processes of a test. `held` keeps appends from being delivered."""

    def __init__(self) -> None:
        self.notes: dict[int, list[Note]] = defaultdict(list)
        self.followers: list[_MemoryFollower] = []
        self.held = False
        self._waiting: list[tuple[int, Note, asyncio.Future[RecordPosition]]] = []

    def append(self, partition: int, note: Note) -> asyncio.Future[RecordPosition]:
        """Append at once, or when `go` is called."""
        future: asyncio.Future[RecordPosition] = asyncio.get_running_loop().create_future()
        self._waiting.append((partition, note, future))
        if not self.held:
            self.go()
        return future

    def go(self) -> None:
        """Deliver what was held."""
        self.held = False
        waiting, self._waiting = self._waiting, []
        for partition, note, future in waiting:
            notes = self.notes[partition]
            notes.append(note)
            future.set_result(RecordPosition(TOPIC, partition, len(notes) - 1))
        for follower in list(self.followers):
            follower.wake()

    def waiting(self) -> int:
        """How many notes are held."""
        return len(self._waiting)

    def read(self, partition: int) -> list[ReadNote]:
        """Everything in a partition."""
        return [ReadNote(offset, note) for offset, note in enumerate(self.notes[partition])]


class _MemoryFollower:
    def __init__(self, notes: MemoryNotes, partition: int, offset: int, on_note: OnNote) -> None:
        self._notes = notes
        self._partition = partition
        self._next = offset
        self._on_note = on_note
        self._closed = False
        notes.followers.append(self)
        self.wake()

    def wake(self) -> None:
        """Hand over what is new, in a later turn of the event loop."""
        asyncio.get_running_loop().call_soon(self._hand_over)

    def _hand_over(self) -> None:
        notes = self._notes.notes[self._partition]
        while self._next < len(notes) and not self._closed:
            self._next += 1
            self._on_note(ReadNote(self._next - 1, notes[self._next - 1]))

    async def caught_up(self) -> bool:
        """Whether everything has been handed over."""
        return not self._notes.held and self._next == len(self._notes.notes[self._partition])

    def close(self) -> None:
        """Hand over nothing more."""
        self._closed = True
        if self in self._notes.followers:
            self._notes.followers.remove(self)


class MemoryHandovers:
    """`Handovers` of one process over the notes of all."""

    def __init__(self, notes: MemoryNotes, instance: str) -> None:
        self._notes = notes
        self._instance = instance

    @property
    def instance(self) -> str:
        return self._instance

    def append(self, partition: int, note: Note) -> asyncio.Future[RecordPosition]:
        return self._notes.append(partition, note)

    def follow(self, partition: int, offset: int | None, on_note: OnNote) -> _MemoryFollower:
        at = len(self._notes.notes[partition]) if offset is None else offset
        return _MemoryFollower(self._notes, partition, at, on_note)

    async def close(self) -> None:
        """Nothing to disconnect."""
