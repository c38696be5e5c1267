"""Dead letters as the commands of `reelwire dlq` read and select them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from contracts.deadletters import DISCARD_OF, DeadLetterInfo, NotADeadLetter
from service.cli.exits import CommandError
from service.cli.reading.topic_reader import TopicReader
from service.kafka.header_names import name_bytes
from service.kafka.ports import InRecord
from service.settings import Settings


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record of the dead-letter topic. `info` is None when its headers are not those of a dead letter."""

    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    info: DeadLetterInfo | None
    is_note: bool = False
    """Whether it is no dead letter, but a note that one was discarded."""

    @property
    def place(self) -> str:
        return f"{self.partition}:{self.offset}"

    def as_json(self) -> dict[str, object]:
        """The data of its headers, without the value of the record."""
        info = self.info
        return {
            "place": self.place,
            "partition": self.partition,
            "offset": self.offset,
            "key": readable(self.key),
            "bytes": len(self.value or b""),
            "code": info.code if info else None,
            "message": info.message if info else None,
            "failed_at": info.failed_at if info else None,
            "original": {"topic": info.topic, "partition": info.partition, "offset": info.offset,
                         "timestamp_ms": info.timestamp_ms} if info else None,
            "service_version": info.service_version if info else None,
            "redrive_count": info.redrive_count if info else None,
        }  # fmt: skip


def readable(data: bytes | None) -> str | None:
    """Bytes as text. Bytes that are not UTF-8 become escapes."""
    return None if data is None else data.decode("utf-8", "backslashreplace")


def readable_name(name: str) -> str:
    """A header's name as text that can be printed and written as JSON; bytes that are not UTF-8 become escapes."""
    return name_bytes(name).decode("utf-8", "backslashreplace")


def as_dead_letter(record: InRecord) -> DeadLetter:
    """A record of the dead-letter topic, whatever it holds."""
    try:
        info = DeadLetterInfo.from_headers(record.headers)
    except NotADeadLetter:
        info = None
    is_note = info is None and any(name == DISCARD_OF for name, _ in record.headers)
    return DeadLetter(record.partition, record.offset, record.key, record.value, info, is_note)


def place_of(text: str) -> tuple[int, int]:
    """`PARTITION:OFFSET` as two numbers. Raises `ValueError`."""
    partition, _, offset = text.partition(":")
    if not (partition.isdigit() and offset.isdigit()):
        raise ValueError(f"{text}: write PARTITION:OFFSET, as `reelwire dlq list` shows it")
    return int(partition), int(offset)


@dataclass(frozen=True, slots=True)
class Filter:
    """Selects dead letters. All conditions that are set must hold."""

    codes: frozenset[str] = frozenset()
    key: str | None = None
    since: str | None = None
    places: frozenset[tuple[int, int]] = frozenset()
    max_redrives: int | None = None

    def matches(self, letter: DeadLetter) -> bool:
        """Whether the dead letter is selected. Times are RFC 3339 in UTC, so they compare as text."""
        info = letter.info
        if self.places and (letter.partition, letter.offset) not in self.places:
            return False
        if self.key is not None and readable(letter.key) != self.key:
            return False
        if info is None:
            return not (self.codes or self.since or self.max_redrives is not None)
        return (
            (not self.codes or info.code in self.codes)
            and (self.since is None or info.failed_at >= self.since)
            and (self.max_redrives is None or info.redrive_count <= self.max_redrives)
        )


def reader(settings: Settings) -> TopicReader[DeadLetter]:
    """A reader of the dead-letter topic."""
    return TopicReader(settings, [settings.topics.dead_letters], as_dead_letter)


async def held(settings: Settings, wanted: Filter) -> AsyncIterator[DeadLetter]:
    """The dead letters that are in the topic now and match `wanted`."""
    async with reader(settings) as letters:
        ends = await letters.ends()
        letters.begin(await letters.beginnings())
        async for letter in letters.until(ends):
            if not letter.is_note and wanted.matches(letter):
                yield letter


async def one(settings: Settings, partition: int, offset: int) -> DeadLetter:
    """The dead letter at this partition and offset. Raises `CommandError` if there is none."""
    async with reader(settings) as letters:
        ends, beginnings = await letters.ends(), await letters.beginnings()
        chosen = {tp: offset for tp in ends if tp.partition == partition and beginnings[tp] <= offset < ends[tp]}
        letters.begin(chosen)
        if chosen:
            async for letter in letters.until(dict.fromkeys(chosen, offset + 1)):
                if letter.offset == offset:
                    return letter
    raise CommandError(f"there is no dead letter at {partition}:{offset}; `reelwire dlq list` shows all")
