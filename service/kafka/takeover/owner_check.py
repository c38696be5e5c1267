"""Whose the topics are: checked by every takeover, before its jobs are handed to the engine.

Each deployment leaves two kinds of notes in the jobs partitions. A candidate's note, under a key of its group's own,
is written with every ownership marker. The owner's note, under one key for all, says which deployment was the last to
pass the check.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

import structlog

from service.clock import Clock
from service.kafka.marker import PRIVATE_PREFIX
from service.kafka.other_clients.deployments import (
    Deployment,
    DeploymentNote,
    DeploymentRefused,
    refuse_rivals,
    refuse_strangers,
    running,
)
from service.kafka.other_clients.group_members import GroupHidden, members_of
from service.kafka.ports import OutRecord
from service.settings import Settings
from service.telemetry.events import LogEvent

log = structlog.get_logger()

OWNER_KEY = PRIVATE_PREFIX + b"owner"
CANDIDATE_PREFIX = PRIVATE_PREFIX + b"deployment/"

Write = Callable[[list[OutRecord]], Awaitable[object]]
"""Makes records durable. Raises `PartitionError`."""


@dataclass(frozen=True, slots=True)
class Claims:
    """The notes of one jobs partition, as they were in front of our own marker."""

    owner: DeploymentNote | None
    candidates: tuple[DeploymentNote, ...]

    @classmethod
    def among(cls, values: Mapping[bytes, bytes]) -> Claims:
        """Find the notes among the last records of a partition, by key. Notes that can't be read are left out."""
        notes = (DeploymentNote.decode(value) for key, value in values.items() if key.startswith(CANDIDATE_PREFIX))
        return cls(DeploymentNote.decode(values.get(OWNER_KEY)), tuple(note for note in notes if note is not None))

    def owned_by(self, deployment: Deployment) -> bool:
        """Whether a deployment was the last to pass the check."""
        return self.owner is not None and self.owner.deployment == deployment

    def rivals(self, own: Deployment) -> tuple[DeploymentNote, ...]:
        """Whom to look for: the other deployments that may own the topics. None, once the topics are ours.

        The owner ignores candidates: they find its note, and must leave if it is running.
        """
        if self.owned_by(own):
            return ()
        notes = [*([self.owner] if self.owner is not None else []), *self.candidates]
        return tuple({note.deployment: note for note in notes if note.deployment != own}.values())


def candidate_record(topic: str, partition: int, note: DeploymentNote) -> OutRecord:
    """The note that goes with every ownership marker."""
    return OutRecord(topic, partition, CANDIDATE_PREFIX + note.deployment.group.encode(), note.encode())


class OwnerCheck:
    """One per process; asks Kafka only when a partition has notes of other deployments."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings = settings
        self._topic = settings.topics.jobs
        self._own = Deployment.of(settings)
        self._clock = clock
        self._looking = asyncio.Lock()
        self._looked_in: int | None = None
        self._no_rivals = False

    async def refuse_others(self, generation: int) -> None:
        """Look at the groups, now that we are a member: once in each generation, for all partitions.

        Raises `DeploymentRefused`; `BrokerUnavailable` when it can't be found out now. A process that serves does not
        look for other groups again: they find it, and must leave.
        """
        async with self._looking:
            if self._looked_in == generation:
                return
            await refuse_strangers(self._settings)
            if not self._no_rivals:
                await refuse_rivals(self._settings)
                self._no_rivals = True
            self._looked_in = generation

    def note(self, process: str, at_ms: int) -> DeploymentNote:
        """Our own note."""
        return DeploymentNote(self._own, process, at_ms)

    async def pass_or_refuse(self, partition: int, claims: Claims, note: DeploymentNote, write: Write) -> None:
        """Return when the topics are ours, which is then durable. Raises `DeploymentRefused`, and takes our note back.

        Called for a partition that is not ours yet by `claims`. Raises `PartitionError` or `BrokerUnavailable` when it
        can't be found out now.
        """
        rivals = claims.rivals(self._own)
        ours = OutRecord(self._topic, partition, OWNER_KEY, note.encode())
        theirs = OutRecord(self._topic, partition, OWNER_KEY, claims.owner.encode() if claims.owner else None)
        withdrawn = OutRecord(self._topic, partition, CANDIDATE_PREFIX + self._own.group.encode(), None)
        try:
            await self._refuse_running(partition, rivals)
        except DeploymentRefused:
            await write([withdrawn])
            raise
        await write([ours])
        try:
            # Again: one that started between the question and our note has not seen the note.
            await self._refuse_running(partition, rivals)
        except DeploymentRefused:
            await write([theirs, withdrawn])
            raise
        for rival in rivals:
            log.warning(
                LogEvent.DEPLOYMENT_REPLACED,
                partition=partition,
                group=rival.deployment.group,
                requests=rival.deployment.requests,
                process=rival.process,
            )

    async def _refuse_running(self, partition: int, rivals: tuple[DeploymentNote, ...]) -> None:
        for rival in rivals:
            try:
                members = running(rival.deployment, await members_of(self._settings.kafka, rival.deployment.group))
            except GroupHidden as hidden:
                age_hours = (self._clock.time() * 1000 - rival.at_ms) / 3_600_000
                if age_hours < self._settings.jobs.dedup_hours:
                    raise DeploymentRefused(
                        f"{self._where(partition, rival)}. Whether it is running can't be known: {hidden}. Grant it, "
                        "or wait until the note is older than REELWIRE_JOBS__DEDUP_HOURS"
                    ) from None
                continue
            if members:
                raise DeploymentRefused(
                    f"{self._where(partition, rival)}, and is running: {', '.join(str(one) for one in members[:3])}. "
                    "Two deployments on the same topics would both pay for every request. Stop one of them, or give "
                    "this one topics of its own (REELWIRE_TOPICS__*); to share the work, give both the same "
                    "REELWIRE_KAFKA__GROUP_ID"
                )

    def _where(self, partition: int, rival: DeploymentNote) -> str:
        return f"{self._topic}/{partition} belongs to another deployment ({rival.deployment}; process {rival.process})"
