"""The handovers topic as the engine sees it: notes are appended, and followed in the order of the log."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from service.domain.handover import Note
from service.kafka.ports import ReadNote, RecordPosition

OnNote = Callable[[ReadNote], None]
"""Called on the event loop for each note, in the order of the log. Must not block or raise."""


class Followed(Protocol):
    """One reader of a handovers partition."""

    async def caught_up(self) -> bool:
        """Whether everything that is in the partition at the time of the call has been handed over by now.

        Asks the broker, bounded in time. False when it does not answer, or when there is something to be read first.
        """
        ...

    def close(self) -> None:
        """Hand over nothing more. Returns at once."""
        ...


class Handovers(Protocol):
    """One per process."""

    @property
    def instance(self) -> str:
        """The name of this process among all that ever were: unique, new at each start."""
        ...

    def append(self, partition: int, note: Note) -> asyncio.Future[RecordPosition]:
        """Append a note; resolves when every replica in sync has it, with the position of its last part.

        Needs no lease: a late note is harmless by the rules of `service.domain.handover`. It waits for as long as no
        broker answers, and is written once and in order per partition. Fails with `DeliveryFailed` when the sender is
        closed or the broker refuses it. A result larger than a record is written in parts.
        """
        ...

    def follow(self, partition: int, offset: int | None, on_note: OnNote) -> Followed:
        """Read a partition from `offset` on (None: from its end as it is when reading begins), until it is closed.

        Several readers may follow one partition. Outages are waited for. Returns at once.
        """
        ...

    async def close(self) -> None:
        """Wait for what is under way, bounded in time, then disconnect. Never raises."""
        ...
