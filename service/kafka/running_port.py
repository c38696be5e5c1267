"""The ledger topic as the engine sees it where what runs at once is limited: enter, run, leave."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from service.domain.shares.running import Caps
from service.kafka.ports import OutRecord


class RunningLedger(Protocol):
    """One per process."""

    on_change: Callable[[str], None]
    """Called with the name of one who has entered or left."""

    def has(self, name: str) -> bool:
        """Whether one has entered and not left, perhaps by an earlier owner of the job, as far as was read."""
        ...

    def room(self, tenant: str | None, caps: Caps) -> bool:
        """Whether one more of this tenant could run now, as far as the topic was read."""
        ...

    def count(self) -> int:
        """How many have entered and not left."""
        ...

    def enter(self, name: str, tenant: str | None, caps: Caps) -> asyncio.Future[None]:
        """Enter, in the order of the log. Resolves when it may run, which may be much later.

        Fails with `DeliveryFailed` when the record was not delivered, or may not have been: enter again.
        """
        ...

    def left(self, name: str) -> OutRecord:
        """The record that says that one has left, to be written with what tells its end."""
        ...
