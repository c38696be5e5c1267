"""Where intake goes on after a takeover: a pure decision over what the group has committed and what the topic holds.

`find_position` asks for both.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

import structlog

from service.clock import Clock
from service.kafka.takeover.log_reader import LogReader
from service.kafka.takeover.surroundings import GroupState
from service.settings import Settings
from service.telemetry.events import LogEvent
from service.telemetry.metrics import Metrics

log = structlog.get_logger()

_ASKED_AGAIN = 6
_AGAIN_SECONDS = 0.5

OffsetReset = Literal["recent", "earliest", "latest", "stop"]
"""What the operator wants when the committed offset is not in the topic; see the setting `kafka.offset_reset`."""


class Lapse(StrEnum):
    """Why the committed offset can't be used."""

    EXPIRED = "expired"  # records behind it were removed: retention was shorter than we were away
    FORGOTTEN = "forgotten"  # the group has no offset although the topics were read before, by it or by another group
    BEYOND_END = "beyond_end"  # the topic ends before it: an unclean election, or the topic was made anew


@dataclass(frozen=True, slots=True)
class InputLog:
    """One partition of the requests topic at one moment. All are offsets."""

    beginning: int
    end: int  # behind the last record
    recent: int  # the first record within the dedup window; the end when there is none


@dataclass(frozen=True, slots=True)
class InputPosition:
    """Where to go on. `held` means that intake must not go on before the operator has decided."""

    offset: int
    lapse: Lapse | None = None
    held: bool = False


def input_position(committed: int | None, log: InputLog, reset: OffsetReset) -> InputPosition:
    """Decide where to go on.

    Records that retention has removed can't be had back, so intake goes on with the oldest that is left. Otherwise
    nobody knows which records are new: `recent` reads again what the dedup window covers, so that nothing which ended
    is paid for twice, and nothing is lost that came since the service was last there, if that was within the window.
    """
    if committed is not None and log.beginning <= committed <= log.end:
        return InputPosition(committed)
    lapse = _lapse(committed, log)
    if reset == "stop":
        return InputPosition(log.end, lapse, held=True)
    if reset == "latest":
        return InputPosition(log.end, lapse)
    if lapse is Lapse.EXPIRED or reset == "earliest":
        return InputPosition(log.beginning, lapse)
    return InputPosition(min(max(log.recent, log.beginning), log.end), lapse)


def _lapse(committed: int | None, log: InputLog) -> Lapse:
    if committed is None:
        return Lapse.FORGOTTEN
    return Lapse.EXPIRED if committed < log.beginning else Lapse.BEYOND_END


@dataclass(frozen=True, slots=True)
class FoundPosition:
    """What was found and what was decided about it."""

    committed: int | None
    log: InputLog
    position: InputPosition

    @property
    def lost(self) -> int:
        """Records that retention has removed before they were read."""
        return max(0, self.log.beginning - self.committed) if self.committed is not None else 0

    def explain(self, partition: int, topic: str, reset: OffsetReset) -> str:
        """What happened and what was done, for an operator. Only when there is a lapse."""
        where = f"partition {partition}: {topic} holds offsets {self.log.beginning} to {self.log.end}"
        what = {
            Lapse.FORGOTTEN: "and the group has no committed offset although it was read before: by another group, or "
            "Kafka has forgotten the offset (offsets.retention.minutes)",
            Lapse.EXPIRED: f"the committed offset {self.committed} lies before them: {self.lost} records were removed "
            "before they were read; keep the topic's records for longer",
            Lapse.BEYOND_END: f"the committed offset {self.committed} lies beyond them: after an unclean election, or "
            "because the topic was made anew",
        }[self.position.lapse or Lapse.FORGOTTEN]
        if self.position.held:
            return (
                f"{where}, {what}. Intake of this partition waits: set REELWIRE_KAFKA__OFFSET_RESET to recent, "
                "earliest or latest, and start again"
            )
        done = f"went on at offset {self.position.offset} (REELWIRE_KAFKA__OFFSET_RESET={reset})"
        return f"{where}, {what}. Intake {done}"


async def find_position(
    reader: LogReader, group: GroupState, partition: int, settings: Settings, clock: Clock
) -> FoundPosition:
    """Find where intake goes on. Raises `PartitionError`.

    The topic is asked with a reader of our own, because the group consumer's requests wait behind its long fetches.
    """
    topic = settings.topics.requests
    committed = await _committed(group, partition)
    beginning, end = await reader.bounds(topic, partition)
    log_now = InputLog(beginning, end, end)
    if committed is None or not beginning <= committed <= end:
        window_ms = settings.jobs.dedup_hours * 3_600_000
        recent = await reader.first_since(topic, partition, int(clock.time() * 1000 - window_ms))
        log_now = InputLog(beginning, end, end if recent is None else recent)
    return FoundPosition(committed, log_now, input_position(committed, log_now, settings.kafka.offset_reset))


async def _committed(group: GroupState, partition: int) -> int | None:
    """What the group has committed; None only when it says so for some seconds.

    A broker that is just going down or coming up may say that there is no offset although there is one, and a topic
    that is ours has one: it was committed when we began to read it.
    """
    for _ in range(_ASKED_AGAIN):
        if (offset := await group.committed(partition)) is not None:
            return offset
        await asyncio.sleep(_AGAIN_SECONDS)
    return await group.committed(partition)


def report_lapse(partition: int, found: FoundPosition, settings: Settings, metrics: Metrics) -> str | None:
    """Say what was done about a committed offset that is not in the topic, in the log and metrics.

    Returns the same in words, for health; None when the offset is in the topic.
    """
    position = found.position
    if position.lapse is None:
        return None
    notice = found.explain(partition, settings.topics.requests, settings.kafka.offset_reset)
    log.error(
        LogEvent.INPUT_OFFSET_LAPSED,
        partition=partition,
        lapse=position.lapse,
        committed=found.committed,
        beginning=found.log.beginning,
        end=found.log.end,
        offset=None if position.held else position.offset,
        lost=found.lost,
        reason=notice,
    )
    action = "held" if position.held else settings.kafka.offset_reset
    metrics.offset_lapses.labels(lapse=position.lapse, action=action).inc()
    return notice
