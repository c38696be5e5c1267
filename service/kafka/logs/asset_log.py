"""The assets topic: which videos the platform has, and who is uploading one at the moment.

Every process reads all of it. It is read uncommitted: a note states a fact of the platform, which stays true when the
transaction around it is aborted, and an open transaction of a frozen process must not delay the claims of others.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace

from service.clock import Clock
from service.domain.housekeeping.verdict import touch_seconds
from service.kafka.asset_port import AssetNote, AssetsUnknown, SessionNote
from service.kafka.logs.asset_note import decode_note, encode_note
from service.kafka.logs.claim import Claim
from service.kafka.logs.claims import CLAIM_PREFIX, ClaimTable, read_claim
from service.kafka.logs.index import FingerprintIndex, fingerprint
from service.kafka.logs.point_reader import PointReader, ReadFailed
from service.kafka.logs.session_note import SESSION_PREFIX, SessionTable, read_session, session_record
from service.kafka.marker import PRIVATE_PREFIX
from service.kafka.ports import DeliveryFailed, InRecord, LeaseLost, LiveSender, OutRecord
from service.kafka.reading.topic_tail import Listener, MakeTail, TopicTail
from service.settings import Settings
from service.supervision import Supervisor
from service.telemetry.metrics import Metrics

_CACHED = 4_096


class AssetLog:
    """`AssetNotes` over Kafka. `current` and `acquire` wait until the log has been read once."""

    def __init__(
        self,
        settings: Settings,
        sender: LiveSender,
        metrics: Metrics,
        clock: Clock,
        *,
        supervisor: Supervisor | None = None,
        make_tail: MakeTail = TopicTail,
    ) -> None:
        self._topic = settings.topics.assets
        self._ttl_seconds = settings.assets.claim_seconds
        self._reuse_ms = settings.assets.reuse_hours * 3_600_000
        delete_after = settings.assets.delete_after_hours
        self._touch_ms = 1000 * touch_seconds(
            self._reuse_ms / 1000, None if delete_after is None else delete_after * 3600
        )
        self._see_seconds = settings.kafka.call_timeout_seconds
        self._sender = sender
        self._metrics = metrics
        self._clock = clock
        self._supervisor = supervisor or Supervisor(metrics)
        self._indexes: dict[int, FingerprintIndex] = {}
        self._notes: OrderedDict[str, AssetNote | None] = OrderedDict()  # the most recently looked up
        self._claims = ClaimTable()
        self._sessions = SessionTable()
        self._signals: dict[str, asyncio.Event] = {}
        self._acquiring: dict[str, asyncio.Event] = {}  # set when a job of this process lets go of the video
        self._reader = PointReader(settings.kafka, self._topic, isolation="read_uncommitted")
        self._tail = make_tail(settings, self._topic, clock, self._supervisor)
        self._tail.listen(Listener(self._take, begins=self._trim))

    def __repr__(self) -> str:
        condition = "ready" if self._tail.ready.is_set() else "reading"
        return f"<AssetLog, {condition}, {self._entries()} assets, {len(self._claims)} claims>"

    async def start(self) -> None:
        """Begin to read; returns at once."""
        self._tail.start()

    async def ready(self) -> None:
        """Wait until everything that was written before the start has been read."""
        await self._tail.ready.wait()

    async def close(self) -> None:
        """Stop reading. Claims that are still held end by themselves, after their time."""
        await self._tail.close()
        await self._reader.close()

    async def current(self, identity: str) -> AssetNote | None:
        await self.ready()
        note = await self._note(identity)
        if note is None or note.used_at_ms + self._reuse_ms < self._clock.time() * 1000:
            return None
        return note

    def record(self, note: AssetNote) -> OutRecord:
        return OutRecord(self._topic, self._home(note.identity), note.identity.encode(), encode_note(note))

    def used(self, note: AssetNote) -> OutRecord | None:
        now_ms = int(self._clock.time() * 1000)
        if now_ms - note.used_at_ms < self._touch_ms:
            return None
        return self.record(replace(note, used_at_ms=now_ms))

    async def invalidate(self, identity: str, asset_id: str) -> None:
        # Forgotten here now, elsewhere once read. A process that misses it notices when it uses the asset.
        with suppress(AssetsUnknown):
            note = await self._note(identity)
            if note is None or note.asset_id != asset_id:
                return
        self._forget(identity)
        with suppress(LeaseLost, DeliveryFailed, AssetsUnknown):
            await self._sender.send(OutRecord(self._topic, self._home(identity), identity.encode(), None))

    async def session(self, identity: str) -> SessionNote | None:
        await self.ready()
        return self._sessions.get(identity, self._clock.time() * 1000)

    async def note_session(self, note: SessionNote) -> None:
        record = session_record(self._topic, self._home(note.identity), note.identity, note)
        try:
            await self._sender.send(record)
        except DeliveryFailed as error:
            raise AssetsUnknown(f"an upload session could not be noted: {error}") from error
        self._sessions.seen(note.identity, note)

    async def forget_session(self, identity: str, upload_id: str) -> None:
        note = self._sessions.get(identity, 0)
        if note is None or note.upload_id != upload_id:
            return
        self._sessions.seen(identity, None)
        with suppress(LeaseLost, DeliveryFailed, AssetsUnknown):
            await self._sender.send(session_record(self._topic, self._home(identity), identity, None))

    async def acquire(self, identity: str) -> AssetNote | Claim:
        while True:
            note = await self.current(identity)
            if note is not None:
                return note
            other = self._acquiring.get(identity)
            if other is not None:
                await other.wait()
                continue
            self._acquiring[identity] = asyncio.Event()
            won: AssetNote | Claim | None = None
            try:
                won = await self._compete(identity)
            finally:
                if not isinstance(won, Claim):
                    self._let_go(identity)
            if won is not None:
                return won

    async def _compete(self, identity: str) -> AssetNote | Claim | None:
        """Write a claim, and see in the log which one was first. None when another process had it and is done."""
        claim = Claim(
            identity,
            self._topic,
            self._home(identity),
            ttl_seconds=self._ttl_seconds,
            sender=self._sender,
            clock=self._clock,
            supervisor=self._supervisor,
            on_release=lambda: self._let_go(identity),
        )
        kept = False
        try:
            await claim.write()
            await self._until_seen(claim)
            holder = self._claims.holder(identity, self._clock.monotonic())
            if holder is not None and holder[0] == claim.token:
                note = await self.current(identity)  # one that was first before us may have left it
                if note is None:
                    claim.keep()
                    kept = True
                    self._metrics.asset_claims.labels(outcome="won").inc()
                    return claim
                return note
        finally:
            if not kept:
                claim.withdraw()
        self._metrics.asset_claims.labels(outcome="lost").inc()
        await self._until_free(identity, claim.token)
        return None

    async def _until_seen(self, claim: Claim) -> None:
        try:
            async with asyncio.timeout(self._see_seconds):
                while not self._claims.knows(claim.identity, claim.token):
                    await self._signal(claim.identity).wait()
        except TimeoutError as error:
            raise AssetsUnknown(f"a claim was not read back from the log within {self._see_seconds:g} s") from error

    async def _until_free(self, identity: str, own: str) -> None:
        """Wait for the holder's note, for its release or for the end of its claim."""
        while True:
            now = self._clock.monotonic()
            holder = self._claims.holder(identity, now)
            if holder is None or holder[0] == own:
                return
            with suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, holder[1] - now)):
                    await self._signal(identity).wait()
            if await self.current(identity) is not None:
                return

    def _signal(self, identity: str) -> asyncio.Event:
        """Set and dropped with the next record about this identity."""
        return self._signals.setdefault(identity, asyncio.Event())

    def _let_go(self, identity: str) -> None:
        waiting = self._acquiring.pop(identity, None)
        if waiting is not None:
            waiting.set()

    async def _note(self, identity: str) -> AssetNote | None:
        """The last note about a video. Raises `AssetsUnknown`."""
        if identity in self._notes:
            self._notes.move_to_end(identity)
            return self._notes[identity]
        key = fingerprint(identity.encode())
        home = self._home(identity)
        # In every partition, because the topic may have had fewer of them once.
        for partition in sorted(self._indexes, key=lambda number: number != home):
            offset = self._indexes[partition].get(key)
            if offset is None:
                continue
            try:
                found = await self._reader.at(partition, offset)
            except ReadFailed as error:
                raise AssetsUnknown(str(error)) from error
            if not isinstance(found, InRecord) or found.value is None or found.key != identity.encode():
                continue
            if self._indexes[partition].get(key) != offset:
                return await self._note(identity)  # a newer note came while we read
            note = decode_note(identity, found.value)
            self._remember(identity, note)
            return note
        return None

    def _remember(self, identity: str, note: AssetNote | None) -> None:
        self._notes[identity] = note
        self._notes.move_to_end(identity)
        while len(self._notes) > _CACHED:
            self._notes.popitem(last=False)

    def _forget(self, identity: str) -> None:
        self._notes.pop(identity, None)
        for index in self._indexes.values():
            index.discard(fingerprint(identity.encode()))

    def _home(self, identity: str) -> int:
        """The partition of everything about a video, so that the log orders its claims. Raises `AssetsUnknown`."""
        count = self._tail.partitions
        if not count:
            raise AssetsUnknown("the assets topic has not been read yet")
        return fingerprint(identity.encode()) % count

    def _entries(self) -> int:
        return sum(len(index) for index in self._indexes.values())

    # What the tail reads

    def _take(self, record: InRecord, age_seconds: float | None) -> None:
        """One record of the log; `age_seconds` None when it has just been written. Never raises."""
        key = record.key
        index = self._indexes.setdefault(record.partition, FingerprintIndex())
        if key is None:
            return
        if key.startswith(CLAIM_PREFIX):
            read = read_claim(key, record.value)
            if read is None:
                return
            identity, token, claim = read
            if claim is None:
                self._claims.given_up(identity, token)
            else:
                self._claims.seen(claim, record.offset, self._clock.monotonic(), age_seconds or 0.0)
        elif key.startswith(SESSION_PREFIX):
            self._sessions.seen(*read_session(key, record.value))
            return
        elif key.startswith(PRIVATE_PREFIX):
            return
        else:
            identity = key.decode("utf-8", "replace")
            if record.value is None:
                self._forget(identity)
            else:
                index.put(fingerprint(key), record.offset)
                self._notes.pop(identity, None)
                if age_seconds is None:
                    self._remember(identity, decode_note(identity, record.value))
        signal = self._signals.pop(identity, None)
        if signal is not None:
            signal.set()

    def _trim(self, beginnings: Mapping[int, int]) -> None:
        """Forget what retention has removed; called about twice a minute with the log start offsets."""
        for partition, offset in beginnings.items():
            index = self._indexes.setdefault(partition, FingerprintIndex())
            index.drop_below(offset)
        self._claims.sweep(self._clock.monotonic())
        self._sessions.sweep(self._clock.time() * 1000)
        self._metrics.asset_entries.set(self._entries())
