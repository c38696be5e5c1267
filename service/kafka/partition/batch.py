"""Records of the requests topic that become durable together, bounded in bytes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog

from service.kafka.ports import OutRecord, RecordLimits, Step, WriteUnit
from service.kafka.reading.fetched import Fetched, fetched_bytes, next_offset
from service.slices import Slices
from service.telemetry.events import LogEvent

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Batch:
    """The unit to write, and what follows when it is durable. `count` and `bytes` are those of the records taken in."""

    unit: WriteUnit
    steps: tuple[Step, ...]
    count: int
    bytes: int
    outcomes: tuple[str, ...]
    on_durable: Callable[[Batch], None]
    accepted_ms: tuple[int, ...] = ()  # Kafka's timestamps of the requests that become jobs

    async def durable(self) -> None:
        """Called once the unit is durable: the jobs go on, in the order of their records."""
        self.on_durable(self)
        slices = Slices()
        for step in self.steps:
            step.after()
            await slices.turn()


class Draft:
    """A batch in the making. `bytes` is what the unit takes so far."""

    def __init__(self, limits: RecordLimits, on_durable: Callable[[Batch], None]) -> None:
        self.count = 0
        self.bytes = 0
        self._limits = limits
        self._on_durable = on_durable
        self._records: list[OutRecord] = []
        self._steps: list[Step] = []
        self._accepted_ms: list[int] = []
        self._outcomes: list[str] = []
        self._consumed_bytes = 0
        self._next_offset = 0

    def take(self, step: Step, outcome: str) -> None:
        """Write the records of a job's change; the change goes on when they are durable."""
        self._steps.append(step)
        self._add(step.records, outcome)

    def accept(self, step: Step, timestamp_ms: int) -> None:
        """Take the first change of a new job, whose request has this timestamp."""
        self._accepted_ms.append(timestamp_ms)
        self.take(step, "accepted")

    def write(self, outcome: str, *records: OutRecord) -> None:
        """Write records that no job waits for. One that its topic does not take is left out, and logged.

        It would be refused together with its whole unit, after every takeover again.
        """
        fitting = [record for record in records if self._limits.fits(record)]
        if len(fitting) < len(records):
            for record in records:
                if not self._limits.fits(record):
                    log.error(
                        LogEvent.OUTPUT_TOO_LARGE,
                        topic=record.topic,
                        partition=record.partition,
                        bytes=self._limits.size(record),
                        limit_bytes=self._limits.of(record.topic),
                        todo="raise max.message.bytes of the topic; the event is not published",
                    )
        self._add(fitting, outcome)

    def consumed(self, record: Fetched) -> None:
        """Everything that `record` leads to is in the draft."""
        self.count += 1
        self._consumed_bytes += fetched_bytes(record)
        self._next_offset = next_offset(record)

    def batch(self) -> Batch:
        """The finished batch; the draft is not used afterwards."""
        unit = WriteUnit(self._records, input_offset=self._next_offset)
        steps, outcomes = tuple(self._steps), tuple(self._outcomes)
        accepted = tuple(self._accepted_ms)
        return Batch(unit, steps, self.count, self._consumed_bytes, outcomes, self._on_durable, accepted)

    def _add(self, records: Sequence[OutRecord], outcome: str) -> None:
        self._records.extend(records)
        self._outcomes.append(outcome)
        self.bytes += sum(self._limits.size(record) for record in records)
