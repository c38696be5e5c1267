"""Everything around the engine in memory: logs, writers, lease, assets, intake, and a platform that is scripted."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from types import TracebackType
from typing import Any, Self, cast

import orjson

from service.clock import Clock
from service.domain.change import Slot
from service.domain.handover import Owned
from service.domain.job import Job, decode_job, encode_job
from service.engine.context import Context
from service.engine.handover.right import CarriersFirst
from service.engine.host import Engine
from service.engine.job.job_book import JobBook
from service.engine.live_job import LiveJob
from service.kafka.connecting.connection import largest_record_bytes
from service.kafka.ledger_port import Ledger
from service.kafka.logs.asset_log import AssetLog
from service.kafka.logs.finished import decode_finished, encode_finished
from service.kafka.memory import MemoryLog, MemorySender, MemoryTail, MemoryWriter
from service.kafka.memory_handovers import MemoryHandovers, MemoryNotes
from service.kafka.partition.batch import Batch
from service.kafka.partition.intake import Intake
from service.kafka.partition.parked import ParkedJobs
from service.kafka.ports import FinishedRecord, InRecord, JobSummary, OutRecord, RecordPosition
from service.kafka.running_port import RunningLedger
from service.kafka.topics.record_limits import TopicLimits
from service.platform.client import PlatformClient
from service.settings import Settings, load_settings
from service.supervision import Supervisor
from service.telemetry.metrics import Metrics
from service.telemetry.tracing.tracer import Tracer
from tests.engine.fake_platform import FakePlatform
from tests.support.clock import LoopClock
from tests.support.waiting import settled, until

URL = "https://media.example.com/v.mp4"


class SwitchedLease:
    """`on`: the group takes the process for alive; `paying`: and all that is here is known to be ours."""

    def __init__(self) -> None:
        self.on = True
        self.paying = True

    def alive(self) -> bool:
        return self.on

    def may_pay(self) -> bool:
        return self.on and self.paying

    def may_send(self, partition: int) -> bool:
        return self.on


class TailedLog(MemoryLog):
    """Knows the order of all records."""

    def __init__(self) -> None:
        super().__init__()
        self.order: list[OutRecord] = []

    def append(self, record: OutRecord) -> RecordPosition:
        position = super().append(record)
        self.order.append(record)
        return position


class HeldWriter(MemoryWriter):
    """Commits at the next turn of the loop, unless it is held."""

    held = False

    def refuse_above(self, topic: str, size_bytes: int) -> None:
        """Take no records of `topic` that are larger, although everybody else believes that it takes them."""
        self._limits = TopicLimits({topic: size_bytes}, default_bytes=self._limits.of(""))

    def _commit(self) -> None:
        if self.held:
            self._scheduled = False
        else:
            super()._commit()

    def go(self) -> None:
        """Commit all that gathered, and go on as usual."""
        self.held = False
        self._commit()

    def go_once(self) -> None:
        """Commit what gathered so far, and hold the next."""
        self.held = False
        self._commit()
        self.held = True


class MemoryFinished:
    """The `FinishedLog` of a partition over a `MemoryLog`."""

    def __init__(self, log: MemoryLog, topic: str, partition: int) -> None:
        self.added: list[tuple[str, int]] = []
        self._log = log
        self._topic = topic
        self._partition = partition

    def at(self, offset: int) -> FinishedRecord:
        value = self._log.at(RecordPosition(self._topic, self._partition, offset)).value
        found = decode_finished(value or b"")
        assert found is not None
        return found

    def record(self, ended: FinishedRecord) -> OutRecord:
        return OutRecord(self._topic, self._partition, ended.request_id.encode(), encode_finished(ended))

    async def find(self, request_id: str) -> FinishedRecord | None:
        return next((self.at(offset) for known, offset in self.added if known == request_id), None)

    def add(self, request_id: str, offset: int) -> None:
        self.added.append((request_id, offset))

    async def completion(self, record: FinishedRecord) -> OutRecord | None:
        return self._log.at(record.completion)


def asset_log(settings: Settings, sender: MemorySender, metrics: Metrics, clock: Clock, log: TailedLog) -> AssetLog:
    """The real asset log, its topic in memory and already read."""

    def make_tail(*_: object) -> MemoryTail:
        return MemoryTail(log, settings.topics.assets, partitions=2)

    return AssetLog(settings, sender, metrics, clock, make_tail=make_tail)


class NothingParked:
    """All jobs are in memory."""

    def summary_of(self, request_id: str) -> JobSummary | None:
        return None

    def loads_at_once(self, request_id: str) -> bool:
        return True

    async def load(self, request_id: str) -> None: ...


class Bench:
    """One process: `open` a partition, `take` requests, look at what was written and asked for."""

    def __init__(
        self,
        *,
        platform: PlatformClient | None = None,
        platform_settings: dict[str, Any] | None = None,
        limits: dict[str, int] | None = None,
        log: TailedLog | None = None,
        notes: MemoryNotes | None = None,
        instance: str = "here",
        ledger: Ledger | None = None,
        running: RunningLedger | None = None,
        tracer: Tracer | None = None,
        **sections: Any,
    ) -> None:
        self.settings = load_settings(platform=platform_settings or {}, **sections)
        self.metrics = Metrics()
        self.clock = LoopClock()
        self.log = log or TailedLog()
        self.lease = SwitchedLease()
        self.limits = TopicLimits(limits, default_bytes=largest_record_bytes(self.settings.kafka))
        self.sender = MemorySender(self.log, self.lease, limits=self.limits)
        self.assets = asset_log(self.settings, self.sender, self.metrics, self.clock, self.log)
        self.platform = FakePlatform(self.clock)
        self.notes = notes or MemoryNotes()
        self.context = Context.of(
            self.settings,
            clock=self.clock,
            metrics=self.metrics,
            platform=platform or cast("PlatformClient", self.platform),
            assets=self.assets,
            sender=self.sender,
            lease=self.lease,
            limits=self.limits,
            handovers=MemoryHandovers(self.notes, instance),
            ledger=ledger,
            running=running,
            tracer=tracer,
        )
        self.engine = Engine(self.context)
        self.sender.right = right = CarriersFirst(self.lease)
        right.carrier = self.engine.carrier
        self.slots = self.engine.slots
        self.poller = self.engine.poller
        self.writer: HeldWriter
        self.finished: MemoryFinished
        self.book: JobBook
        self.faults: list[dict[str, Any]] = []
        self._intake: Intake
        self._offset = 0

    async def __aenter__(self) -> Self:
        # Nothing may go wrong behind a test's back.
        asyncio.get_running_loop().set_exception_handler(lambda _, fault: self.faults.append(fault))
        self.engine.start(Supervisor(self.metrics))
        self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.book.close()
        await self.writer.close()
        await settled()
        await self.engine.close()
        if kind is None:
            assert not self.faults, f"errors in callbacks: {self.faults}"
            assert [self.slots.taken(slot) for slot in Slot] == [0, 0], f"slots are leaked: {self.slots!r}"

    def open(self, partition: int = 0) -> JobBook:
        """Own a partition, with a writer and a book of its own. The last one opened is the bench's."""
        self.writer = HeldWriter(self.log, partition, limits=self.limits)
        self.finished = MemoryFinished(self.log, self.settings.topics.finished, partition)
        self.book = self.engine.open(partition, self.writer, self.finished)
        self._intake = Intake(
            partition,
            settings=self.settings,
            jobs=self.book,
            finished=self.finished,
            parked=cast(ParkedJobs, NothingParked()),
            limits=self.limits,
            quarantined=frozenset(),
            metrics=self.metrics,
            clock=self.clock,
        )
        return self.book

    # Requests

    def record(self, body: dict[str, Any], key: bytes | None = b"cam7") -> InRecord:
        topic = self.settings.topics.requests
        timestamp = int(self.clock.time() * 1000)
        self._offset += 1
        return InRecord(topic, self.book.partition, self._offset - 1, timestamp, key, orjson.dumps(body), ())

    async def prepare(self, *records: InRecord) -> Batch:
        """The one batch that these records make."""
        (batch,) = [batch async for batch in self._intake.batches(records)]
        return batch

    async def take(self, *bodies: dict[str, Any], key: bytes | None = b"cam7") -> None:
        """One batch of requests, as intake takes it: durable when this returns."""
        batch = await self.prepare(*(self.record(body, key) for body in bodies))
        await self.writer.submit(batch.unit)
        await batch.durable()

    async def take_raw(self, value: bytes, key: bytes | None = b"cam7") -> None:
        """One request as its bytes, for what no encoder of ours writes."""
        record = replace(self.record({}, key), value=value)
        batch = await self.prepare(record)
        await self.writer.submit(batch.unit)
        await batch.durable()

    # Takeover

    async def restore(self, *jobs: Job) -> None:
        """Jobs as an earlier owner left them."""
        for job in jobs:
            self.log.append(self.context.records.job(job))
            self.book.restore(job.request_id.encode(), encode_job(job))
        await self.book.resume()

    async def crash(self) -> None:
        """This owner is gone with all that was not durable; the next one takes over."""
        self.writer.fence()
        await self.book.close()
        await self._take_over()

    # Moves

    async def lose(self) -> None:
        """The group takes the partition away, in an orderly way."""
        self.lease.paying = False
        await self.engine.moving()
        await self.let_go()
        self.lease.paying = True

    async def let_go(self, *, for_good: bool = True) -> None:
        """The partition is closed; `for_good`: it is another's now."""
        self.writer.fence()
        await self.book.close(carry=True)
        if for_good:
            self.engine.lost(self.book.partition)

    async def take_over(self) -> None:
        """Own the partition: fence, mark, restore from the log, go on with what the notes say."""
        await self._take_over()
        await settled()

    async def _take_over(self) -> None:
        partition = self.book.partition
        notes = self.notes.read(partition)
        self.notes.append(partition, Owned(self.context.handovers.instance, self.clock.monotonic()))
        self.open(partition)
        live: dict[bytes, bytes | None] = {}
        for record in self.log.read(self.settings.topics.jobs, self.book.partition):
            live[record.key or b""] = record.value
        for key, value in live.items():
            if value is not None:
                self.book.restore(key, value)
        if self.book.attempt_since_ms() is None:
            await self.book.resume()
        else:
            await self.book.resume(notes, len(notes))

    # What was written

    def _values(self, topic: str, request_id: str | None) -> list[dict[str, Any]]:
        found = [orjson.loads(record.value or b"") for record in self.log.read(topic, self.book.partition)]
        return [value for value in found if request_id in (None, value["request_id"])]

    def completions(self, request_id: str | None = None) -> list[dict[str, Any]]:
        return self._values(self.settings.topics.completions, request_id)

    def progress(self, request_id: str | None = None) -> list[dict[str, Any]]:
        return self._values(self.settings.topics.progress, request_id)

    def told(self, request_id: str | None = None) -> list[str]:
        """The types of the progress events."""
        return [event["type"] for event in self.progress(request_id)]

    def fragments(self, request_id: str | None = None) -> list[dict[str, Any]]:
        return self._values(self.settings.topics.fragments, request_id)

    def states(self, request_id: str = "r-1") -> list[Job | None]:
        """The job's records in order; None is the tombstone."""
        records = self.log.read(self.settings.topics.jobs, self.book.partition)
        return [decode_job(r.value) if r.value else None for r in records if r.key == request_id.encode()]

    def phases(self, request_id: str = "r-1") -> list[str]:
        return ["ended" if job is None else str(job.phase) for job in self.states(request_id)]

    def live(self, request_id: str = "r-1") -> LiveJob:
        live = self.book.find(request_id)
        assert live is not None, f"{request_id} is not live"
        return live

    async def completed(self, request_id: str = "r-1") -> dict[str, Any]:
        """The completion, which is there once."""
        await until(lambda: self.completions(request_id), f"a completion of {request_id}")
        await settled()
        [completion] = self.completions(request_id)
        assert self.states(request_id)[-1] is None, "a record was written after the tombstone"
        return completion


def analyze(request_id: str = "r-1", **members: Any) -> dict[str, Any]:
    """A request: a prompt and a video by URL unless told otherwise."""
    return {"request_id": request_id, "prompt": "Describe.", "video": {"type": "url", "url": URL}} | members


def cancel(request_id: str = "r-1", **more: Any) -> dict[str, Any]:
    return {"type": "cancel", "request_id": request_id} | more
