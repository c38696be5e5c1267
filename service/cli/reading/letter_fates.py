"""What became of dead letters: which were sent again, which were discarded, and of which nobody can know any more.

There is no topic for this. A request that is redriven carries the place of its dead letter in a header, so sending it
and remembering it are one write: nothing can come between them. What is discarded is noted in the dead-letter topic
itself, behind the letter, so the note lives as long. See docs/decisions/0042.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from aiokafka import TopicPartition

from contracts.deadletters import DISCARD_OF, REDRIVE_OF, DeadLetterInfo, letter_place
from service.cli.reading.dead_letter import DeadLetter
from service.cli.reading.topic_reader import TopicReader
from service.kafka.ports import InRecord
from service.settings import Settings

Fate = Literal["open", "redriven", "discarded", "forgotten"]
"""`forgotten`: the requests topic has deleted records behind the original one, so it may have been redriven or not."""


@dataclass(frozen=True, slots=True)
class Fates:
    """The places of dead letters that were redriven or discarded, and the first offsets of the requests topic."""

    settings: Settings
    redriven: frozenset[str]
    discarded: frozenset[str]
    first_offsets: dict[int, int]

    def of(self, letter: DeadLetter) -> Fate:
        """What became of one letter. Discarding counts more than what was done before."""
        place = letter_place(self.settings.topics.dead_letters, letter.partition, letter.offset)
        if place in self.discarded:
            return "discarded"
        if place in self.redriven:
            return "redriven"
        if letter.info is not None and self.first_offsets:
            where = letter.info.partition % len(self.first_offsets)
            if self.first_offsets[where] > _behind(self.settings, letter.info, where):
                return "forgotten"
        return "open"


def _behind(settings: Settings, info: DeadLetterInfo, partition: int) -> int:
    """The first offset of the requests topic at which the letter's record can have been sent again."""
    here = info.topic == settings.topics.requests and info.partition == partition
    return info.offset + 1 if here else 0


async def fates_of(settings: Settings, letters: Sequence[DeadLetter]) -> Fates:
    """Read what became of these letters.

    Records of open and aborted transactions count too: a redriven request behind somebody's open transaction was sent
    nevertheless.
    """
    requests, dead_letters = settings.topics.requests, settings.topics.dead_letters
    redriven: set[str] = set()
    discarded: set[str] = set()
    async with TopicReader(settings, [requests, dead_letters], lambda record: record, committed=False) as reader:
        ends, beginnings = await reader.ends(), await reader.beginnings()
        first_offsets = {where.partition: at for where, at in beginnings.items() if where.topic == requests}
        positions = {where: at for where, at in beginnings.items() if where.topic == dead_letters}
        positions |= _from_where(settings, letters, first_offsets)
        positions = {where: at for where, at in positions.items() if at < ends[where]}
        if positions:
            reader.begin(positions)
            async for record in reader.until({where: ends[where] for where in positions}):
                redriven.update(_places(record, REDRIVE_OF))
                if record.topic == dead_letters:
                    discarded.update(_places(record, DISCARD_OF))
    return Fates(settings, frozenset(redriven), frozenset(discarded), first_offsets)


async def discarded_places(settings: Settings) -> Fates:
    """Read only which letters were discarded: the requests topic, which may be long, is not read."""
    dead_letters = settings.topics.dead_letters
    discarded: set[str] = set()
    async with TopicReader(settings, [dead_letters], lambda record: record, committed=False) as reader:
        ends = await reader.ends()
        reader.begin(await reader.beginnings())
        async for record in reader.until(ends):
            discarded.update(_places(record, DISCARD_OF))
    return Fates(settings, frozenset(), frozenset(discarded), {})


def _from_where(
    settings: Settings, letters: Iterable[DeadLetter], first_offsets: dict[int, int]
) -> dict[TopicPartition, int]:
    """Where to begin in each partition of the requests topic that one of the letters may have been sent to."""
    begin: dict[TopicPartition, int] = {}
    for letter in letters:
        if letter.info is not None:
            partition = letter.info.partition % len(first_offsets)
            where = TopicPartition(settings.topics.requests, partition)
            at = max(first_offsets[partition], _behind(settings, letter.info, partition))
            begin[where] = min(at, begin.get(where, at))
    return begin


def _places(record: InRecord, header: str) -> list[str]:
    return [value.decode("utf-8", "replace") for name, value in record.headers if name == header and value is not None]
