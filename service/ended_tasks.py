"""Where the notice of an ended task comes from, and where it goes: webhooks of this process, and of the others."""

from __future__ import annotations

import asyncio

from service.engine.host import Engine
from service.kafka.handover.log import HandoverLog
from service.kafka.ports import DeliveryFailed, RecordTooLarge

_TELL_SECONDS = 5.0


class EndedTasks:
    """One per process that takes webhooks."""

    def __init__(self, engine: Engine, handovers: HandoverLog) -> None:
        self._engine = engine
        self._handovers = handovers

    def start(self) -> None:
        """Hear from now on what other processes are told."""
        self._handovers.hear_ended(self._heard)

    def _heard(self, task_id: str) -> None:
        self._engine.task_ended(task_id)

    async def tell(self, task_id: str) -> bool:
        """The platform has told this process. True: the task is its own; else all others have been told.

        Raises `ConnectionError` when no broker takes it within some seconds.
        """
        if self._engine.task_ended(task_id):
            return True
        try:
            async with asyncio.timeout(_TELL_SECONDS):
                await self._handovers.tell_ended(task_id)
        except (TimeoutError, DeliveryFailed, RecordTooLarge):
            raise ConnectionError("Kafka does not answer") from None
        return False
