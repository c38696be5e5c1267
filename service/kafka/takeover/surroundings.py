"""What a takeover is given and what it gives back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from service.kafka.logs.point_reader import PointReader
from service.kafka.partition.runtime import PartitionRuntime
from service.kafka.takeover.reader_pool import ReaderPool
from service.settings import Settings


class Changes(Protocol):
    """When the group has assigned partitions, and the next change of that."""

    @property
    def generation(self) -> int:
        """Grows with every change of what is ours."""
        ...

    @property
    def given_at(self) -> float:
        """When partitions were given to us for the last time: seconds of a clock that never goes back."""
        ...

    async def changed_from(self, generation: int) -> None:
        """Wait until the generation is no longer `generation`."""
        ...


class GroupState(Protocol):
    """What a takeover asks of the group: the offset it has committed, and which partitions are ours."""

    async def committed(self, partition: int) -> int | None:
        """The next offset to read; None if there never was one. Raises `PartitionError`."""
        ...

    @property
    def assignment(self) -> Changes:
        """What the group says is ours."""
        ...


@dataclass(frozen=True, slots=True)
class Readers:
    """The shared readers: of single records, and, `whole`, of whole partitions of the private topics."""

    jobs: PointReader
    finished: PointReader
    completions: PointReader
    whole: ReaderPool

    @classmethod
    def of(cls, settings: Settings) -> Readers:
        return cls(
            PointReader(settings.kafka, settings.topics.jobs),
            PointReader(settings.kafka, settings.topics.finished),
            PointReader(settings.kafka, settings.topics.completions),
            ReaderPool(settings.kafka, (settings.topics.jobs, settings.topics.finished, settings.topics.handovers)),
        )

    async def close(self) -> None:
        await self.jobs.close()
        await self.finished.close()
        await self.completions.close()
        await self.whole.close()


@dataclass(frozen=True, slots=True)
class Taken:
    """A partition that was taken over. Its jobs run."""

    runtime: PartitionRuntime
    notice: str | None = None
    """What an operator must know of where intake goes on."""

    held: bool = False
    """Intake must not go on before the operator has decided: `notice` says what."""
