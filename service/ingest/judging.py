"""What is made of notifications: requests, dead letters, or nothing. It reads and writes nothing but the log."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import structlog

from contracts.codes import DeadLetterCode
from contracts.deadletters import NOTIFICATION, Header
from service.ingest.memory import Memory, digest_of
from service.ingest.notifications.arrival import Arrival, Notice, OtherEvent, Unreadable, later
from service.ingest.notifications.reading import read_notification
from service.ingest.rules.reading import Rules
from service.ingest.rules.request import Planned, RuleFault
from service.kafka.partition.dead_letter import code_of, dead_letter
from service.kafka.ports import InRecord, OutRecord, RecordLimits
from service.kafka.reading.fetched import Fetched, UnreadableRange
from service.telemetry.events import LogEvent

log = structlog.get_logger()

REQUEST_HEADER = "ingest.request"
RULE_HEADER = "ingest.rule"
CHANGE_HEADER = "ingest.change"
"""Of an object whose older contents are gone: digest of its name in hex, a colon, the sequencer of its change."""
_TRACE = ("traceparent", "tracestate")


@dataclass(frozen=True, slots=True)
class Incoming:
    """Notifications that came together. `record` is None for what did not come from a topic: it has no dead letter."""

    notices: Sequence[Notice]
    record: Fetched | None = None


def incoming(record: Fetched) -> Incoming:
    """What a record of a topic says."""
    if isinstance(record, UnreadableRange):
        return Incoming([Unreadable(code_of(record), f"can't be read: {record}")], record)
    return Incoming(read_notification(record.value, record.headers), record)


@dataclass(slots=True)
class Judgement:
    """What one transaction writes, and what is to be remembered and counted once it is committed."""

    records: list[OutRecord] = field(default_factory=list)
    sent: dict[str, str] = field(default_factory=dict)
    """Request ids, with their rule."""
    changes: dict[bytes, str] = field(default_factory=dict)
    outcomes: Counter[str] = field(default_factory=Counter)
    letters: Counter[str] = field(default_factory=Counter)
    refused: list[str] = field(default_factory=list)
    """Why entries without a record were rejected."""


class Judge:
    """Decides by the rules and the memory. `partition_of` is the partition of a key in the requests topic."""

    def __init__(
        self,
        rules: Rules,
        memory: Memory,
        limits: RecordLimits,
        *,
        requests: str,
        dead_letters: str,
        partition_of: Callable[[bytes], int],
        letter_partitions: int,
    ) -> None:
        self._rules = rules
        self._memory = memory
        self._limits = limits
        self._requests = requests
        self._dead_letters = dead_letters
        self._partition_of = partition_of
        self._letter_partitions = letter_partitions

    def judge(self, one: Incoming, found: Judgement, now: float) -> None:
        """Add to `found` what is to be done about `one`. Nothing is remembered yet.

        `now` is seconds since the epoch. Takes about 0.3 ms for each event.
        """
        problems: list[Unreadable] = []
        for notice in one.notices:
            if isinstance(notice, Unreadable):
                problems.append(notice)
            elif isinstance(notice, OtherEvent):
                found.outcomes["other"] += 1
            else:
                try:
                    found.outcomes[self._arrival(notice, one.record, found)] += 1
                except RuleFault as fault:
                    problems.append(Unreadable(DeadLetterCode.INVALID, str(fault)))
        if problems:
            found.outcomes["rejected"] += len(problems)
            self._reject(one, problems, found, now)

    def _arrival(self, arrival: Arrival, record: Fetched | None, found: Judgement) -> str:
        if arrival.size == 0:
            return "empty"
        planned = self._rules.of(arrival)
        if planned is None:
            return "unmatched"
        if planned.request_id in found.sent or self._memory.knows(planned.request_id):
            return "duplicate"
        headers: list[Header] = [
            ("content-type", b"application/json"),
            (REQUEST_HEADER, planned.request_id.encode()),
            (RULE_HEADER, planned.rule.encode()),
        ]
        if arrival.sequencer is not None and not arrival.versioned:
            digest = digest_of(arrival.object_name)
            last = found.changes.get(digest) or self._memory.last_change(digest)
            if last is not None and later(last, arrival.sequencer):
                return "superseded"
            found.changes[digest] = arrival.sequencer
            headers.append((CHANGE_HEADER, f"{digest.hex()}:{arrival.sequencer}".encode()))
        if isinstance(record, InRecord):
            headers.extend(header for header in record.headers if header[0] in _TRACE)
        self._send(planned, tuple(headers), found)
        if planned.without_time:
            log.warning(LogEvent.RECORDED_AT_MISSING, rule=planned.rule, request_id=planned.request_id)
        return "sent"

    def _send(self, planned: Planned, headers: tuple[Header, ...], found: Judgement) -> None:
        key = planned.key.encode()
        request = OutRecord(self._requests, self._partition_of(key), key, planned.value, headers)
        if not self._limits.fits(request):
            raise RuleFault(f"rule {planned.rule}: the request is larger than {self._requests} takes")
        found.records.append(request)
        found.sent[planned.request_id] = planned.rule

    def _reject(self, one: Incoming, problems: Sequence[Unreadable], found: Judgement, now: float) -> None:
        message = "; ".join(problem.message for problem in problems[:3])
        if len(problems) > 3:
            message += f"; and {len(problems) - 3} more"
        code, record = problems[0].code, one.record
        if record is None:
            found.refused.append(message)
            log.warning(LogEvent.NOTIFICATION_REJECTED, code=code, reason=message)
            return
        letter = dead_letter(
            record, topic=self._dead_letters, code=code, message=message, failed_at=now, limits=self._limits
        )
        # The topics of notifications may have more partitions than the dead letters.
        partition = letter.partition % self._letter_partitions
        found.records.append(replace(letter, partition=partition, headers=(*letter.headers, (NOTIFICATION, b"1"))))
        found.letters[code] += 1
        log.warning(
            LogEvent.NOTIFICATION_REJECTED,
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            code=code,
            reason=message,
        )
