"""Which assets the live jobs of all partitions refer to, whoever owns them: read from the jobs topic."""

from __future__ import annotations

from collections.abc import Set

from service.kafka.asset_port import AssetsUnknown
from service.kafka.marker import PRIVATE_PREFIX
from service.kafka.reading.fetched import UnreadableRange
from service.kafka.takeover.log_reader import LogReader, RestoreFailed
from service.settings import Settings
from service.slices import Slices


class LiveNames:
    """Reads the whole jobs topic for each question: rare, and about as large as the jobs that are live."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    async def named(self, asset_ids: Set[str]) -> set[str]:
        """Those of `asset_ids` that stand anywhere in the state or the request of a live job.

        Raises `AssetsUnknown` when not every partition can be read to its end.
        """
        found: set[str] = set()
        wanted = {asset_id: asset_id.encode() for asset_id in asset_ids}
        try:
            async with LogReader(self._settings.kafka) as reader:
                for partition in await reader.partitions(self._settings.topics.jobs):
                    found |= await self._of_partition(reader, partition, wanted)
        except RestoreFailed as error:
            raise AssetsUnknown(f"which assets live jobs use could not be read: {error}") from error
        return found

    async def _of_partition(self, reader: LogReader, partition: int, wanted: dict[str, bytes]) -> set[str]:
        by_job: dict[bytes, set[str]] = {}
        slices = Slices()
        async for records in reader.since(self._settings.topics.jobs, partition, 0, lambda: True):
            for record in records:
                if isinstance(record, UnreadableRange):
                    raise AssetsUnknown(f"live jobs can't be read: {record.reason}")
                if not record.key or record.key.startswith(PRIVATE_PREFIX):
                    continue
                by_job.pop(record.key, None)
                value = record.value
                if value is not None and (names := {name for name, text in wanted.items() if text in value}):
                    by_job[record.key] = names
                await slices.turn()
        return set().union(*by_job.values())
