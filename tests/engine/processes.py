"""Processes of one group in one test: they share the log and the notes of the handovers topic."""

from __future__ import annotations

from typing import Any

from service.kafka.memory_handovers import MemoryNotes
from tests.engine.bench import Bench, TailedLog, analyze
from tests.engine.fake_platform import Held
from tests.support.waiting import settled

STREAM: dict[str, Any] = {"upload": "inline", "mode": "stream"}


class Processes:
    """Processes of one group, with the same log."""

    def __init__(self) -> None:
        self.notes = MemoryNotes()
        self.log = TailedLog()
        self.made: list[Bench] = []

    def make(self, name: str, **sections: Any) -> Bench:
        """One more process."""
        self.made.append(Bench(log=self.log, notes=self.notes, instance=name, **sections))
        return self.made[-1]

    def calls(self) -> int:
        """How many attempts were sent to the platform, by all processes."""
        return sum(one.platform.count("stream") + one.platform.count("analyze") for one in self.made)

    def said(self, kind: type) -> list[Any]:
        """The notes of one kind."""
        return [note for note in self.notes.notes[0] if isinstance(note, kind)]


async def stream_held(bench: Bench, *texts: str) -> Held:
    """A stream that waits between its first text and the others."""
    held = Held()
    bench.platform.streams.append([texts[0], held, *texts[1:]])
    await bench.take(analyze(**STREAM))
    await held.reached.wait()
    await settled()
    return held
