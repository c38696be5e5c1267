"""Follows the topics: what is there first, then what comes. One consumer of committed records, one of all.

Nothing is written and nothing committed: the console is in no consumer group. During an outage of the broker the
consumers try again by themselves and go on where they were.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import AsyncExitStack
from typing import Any

import orjson
from aiokafka.errors import KafkaError

from service.cli.exits import CommandError
from service.cli.reading.topic_reader import TopicReader
from service.console.feed.positions import (
    COST_DAYS,
    LETTERS_BACK,
    MOST_COMPLETIONS,
    STEPS_OF_ENDED,
    fragments_since,
    latest,
    of_topic,
    redrives_since,
)
from service.console.feed.topic_watch import TopicsGone, TopicWatch
from service.console.model.board import Board
from service.console.model.letters import LetterBook
from service.domain.job import UnreadableJobRecord, decode_job
from service.errors import RetryLater
from service.kafka.connecting.refusals import reading_words
from service.kafka.marker import PRIVATE_PREFIX
from service.kafka.ports import InRecord
from service.settings import Settings
from service.slices import Slices
from service.supervision import Report, end_all
from service.telemetry.events import LogEvent
from service.telemetry.log import get_logger
from service.words import in_words

log = get_logger()

_PAUSE_SECONDS = 0.03
"""Between two reads while records come: a few records at a time would cost more than all of them together."""
_AGAIN_SECONDS = 2.0
_LOOK_SECONDS = 1.0
_TOLD_SECONDS = 900.0
"""For so long a person is told that topics were made anew."""
READING = "reading"
BROKER = "broker"


class TopicFeed:
    """`run` reads without end. `report` is told whether everything up to the start is read, and of the broker.

    `note` is told what a person should know of the topics, and an empty text when that is old.
    """

    def __init__(
        self,
        settings: Settings,
        board: Board,
        letters: LetterBook,
        report: Report,
        note: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._settings = settings
        self._board = board
        self._letters = letters
        self._report = report
        self._note = note
        self._noted_at: float | None = None
        topics = settings.topics
        self._takes: dict[str, Callable[[InRecord], None]] = {
            topics.jobs: self._job,
            topics.progress: self._progress,
            topics.completions: self._completion,
            topics.dead_letters: letters.take,
            topics.fragments: self._fragment,
            topics.requests: letters.take_request,
        }
        self._topics = TopicWatch(settings, self._takes)

    async def run(self) -> None:
        """Never returns. Begins anew after whatever Kafka has against it."""
        self._report(READING, ok=False, detail="the topics are not read yet")
        while True:
            try:
                await self._follow()
            except TopicsGone as error:
                self._begin_anew(error)
                continue
            # `CommandError` comes from the readers that the console has in common with the commands.
            except (RetryLater, CommandError, KafkaError, OSError, TimeoutError) as error:
                reason = reading_words(error)
                log.warning(LogEvent.CONSOLE_WAITS, reason=reason)
                self._report(BROKER, ok=False, detail=reason)
            await asyncio.sleep(_AGAIN_SECONDS)

    def _begin_anew(self, error: TopicsGone) -> None:
        """Forget all: what is known of one topic means nothing without the others, and offsets begin again."""
        log.warning(LogEvent.CONSOLE_BEGINS_ANEW, topics=error.topics)
        words = f"{in_words(error)}; everything is read again, and what was in it is no longer shown"
        self._note(words)
        self._noted_at = time.monotonic()
        self._board.forget()
        self._letters.forget()
        self._report(READING, ok=False, detail="topics were deleted or made anew, and are read from their start")

    async def _follow(self) -> None:
        topics = self._settings.topics
        async with AsyncExitStack() as stack:
            told = (topics.jobs, topics.progress, topics.completions, topics.dead_letters)
            committed = await stack.enter_async_context(TopicReader(self._settings, told, _as_it_is))
            names = (topics.fragments, topics.requests)
            uncommitted = await stack.enter_async_context(
                TopicReader(self._settings, names, _as_it_is, committed=False)
            )

            def widen(counts: Mapping[str, int]) -> None:
                added = [f"{tp.topic} {tp.partition}" for tp in (*committed.widen(counts), *uncommitted.widen(counts))]
                if added:
                    log.info(LogEvent.CONSOLE_PARTITIONS_ADDED, partitions=added)

            tasks = [
                asyncio.create_task(self._read(committed, uncommitted)),
                asyncio.create_task(self._watch(committed, uncommitted)),
                asyncio.create_task(self._topics.run(widen)),
            ]
            try:
                await asyncio.gather(*tasks)
            finally:
                await end_all(tasks)

    async def _read(self, committed: TopicReader[InRecord], uncommitted: TopicReader[InRecord]) -> None:
        """What there is, then what comes. Never returns."""
        begun = time.monotonic()
        live = await self._state(committed)
        await self._begin_live(uncommitted)
        texts = asyncio.create_task(self._forever(uncommitted))
        try:
            committed.begin(live)
            await self._until(committed, await committed.ends())
            self._report(READING, ok=True, detail="everything up to the start is read")
            log.info(
                LogEvent.CONSOLE_CAUGHT_UP,
                live=len(self._board.live),
                ended=len(self._board.ended),
                seconds=round(time.monotonic() - begun, 1),
            )
            await asyncio.gather(self._forever(committed), texts)
        finally:
            await end_all([texts])

    async def _state(self, reader: TopicReader[InRecord]) -> dict[Any, int]:
        """Read the jobs and the dead letters that there are. Returns where to go on in every topic."""
        topics, now = self._settings.topics, time.time()
        begin, ends = await reader.beginnings(), await reader.ends()
        for topic, most in ((topics.jobs, None), (topics.dead_letters, LETTERS_BACK)):
            there, end = of_topic(begin, topic), of_topic(ends, topic)
            reader.begin(there if most is None else latest(there, end, most))
            await self._until(reader, end)
        kept = self._settings.console.ended_requests
        old = await reader.since(now - COST_DAYS * 86_400)
        return {
            **of_topic(ends, topics.jobs),
            **of_topic(ends, topics.dead_letters),
            **latest(of_topic(old, topics.completions), ends, max(MOST_COMPLETIONS, 2 * kept)),
            **latest(of_topic(old, topics.progress), ends, STEPS_OF_ENDED * kept + self._steps_of_live()),
        }

    def _steps_of_live(self) -> int:
        return STEPS_OF_ENDED * len(self._board.live)

    async def _begin_live(self, reader: TopicReader[InRecord]) -> None:
        topics, now = self._settings.topics, time.time()
        live = self._board.live.values()
        texts = await reader.since(fragments_since((one.accepted_ms for one in live), now))
        begin, ends = await reader.beginnings(), await reader.ends()
        again = redrives_since(
            self._letters.first_sources(), of_topic(begin, topics.requests), of_topic(ends, topics.requests)
        )
        reader.begin({**of_topic(texts, topics.fragments), **again})

    async def _until(self, reader: TopicReader[InRecord], ends: dict[Any, int]) -> None:
        slices = Slices()
        async for record in reader.until(ends):
            self._take(record)
            await slices.turn()

    async def _forever(self, reader: TopicReader[InRecord]) -> None:
        while True:
            await reader.join()
            await self._taken(await reader.batch())

    async def _taken(self, records: Iterable[InRecord]) -> None:
        slices, some = Slices(), False
        for record in records:
            some = True
            self._take(record)
            await slices.turn()
        if some:
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _watch(self, *readers: TopicReader[InRecord]) -> None:
        """Say whether the broker can be reached. The consumers themselves only wait."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            if self._noted_at is not None and time.monotonic() > self._noted_at + _TOLD_SECONDS:
                self._noted_at = None
                self._note("")
            trouble = next((one.trouble for one in readers if one.trouble is not None), None)
            if trouble is None:
                self._report(BROKER, ok=True, detail="connected")
            else:
                servers = self._settings.kafka.bootstrap_servers
                detail = f"no Kafka broker answers at {servers}: {in_words(trouble)}; what is shown may be old"
                self._report(BROKER, ok=False, detail=detail)

    def _take(self, record: InRecord) -> None:
        """Never raises: what one record holds must not keep the others from being shown."""
        try:
            self._takes[record.topic](record)
        except Exception as error:
            log.error(
                LogEvent.CONSOLE_PASSED_OVER,
                topic=record.topic,
                partition=record.partition,
                offset=record.offset,
                exc_info=error,
            )

    def _job(self, record: InRecord) -> None:
        if record.key is None or record.key.startswith(PRIVATE_PREFIX):
            return
        try:
            job = None if record.value is None else decode_job(record.value)
        except UnreadableJobRecord:
            return  # of a newer version: its events are shown
        self._board.take_job(record.partition, record.offset, record.key.decode("utf-8", "replace"), job)

    def _progress(self, record: InRecord) -> None:
        event = _event(record)
        if event is not None:
            self._board.take_progress(record.partition, record.offset, record.timestamp_ms, event)

    def _completion(self, record: InRecord) -> None:
        event = _event(record)
        if event is not None and record.value is not None:
            names = dict(record.headers)
            source, identity = names.get("ce_source"), names.get("ce_id")
            name = (source.decode("latin-1"), identity.decode("latin-1")) if source and identity else None
            self._board.take_completion(record.partition, record.offset, record.timestamp_ms, record.value, event, name)

    def _fragment(self, record: InRecord) -> None:
        event = _event(record)
        if event is not None:
            self._board.take_fragment(record.partition, record.timestamp_ms, event)


def _event(record: InRecord) -> dict[str, Any] | None:
    """The event in a record; None for what is none, which others may have written there."""
    try:
        event = orjson.loads(record.value or b"null")
    except ValueError:
        return None
    return event if isinstance(event, dict) else None


def _as_it_is(record: InRecord) -> InRecord:
    return record
