"""The topics: what each is for, its default name, and how Kafka cleans it up."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType


class Role(StrEnum):
    """What a topic is for; also the name of its setting (`REELWIRE_TOPICS__<ROLE>`)."""

    REQUESTS = "requests"
    FRAGMENTS = "fragments"
    COMPLETIONS = "completions"
    PROGRESS = "progress"
    DEAD_LETTERS = "dead_letters"
    JOBS = "jobs"
    FINISHED = "finished"
    ASSETS = "assets"
    HANDOVERS = "handovers"
    LEDGER = "ledger"


class CleanupPolicy(StrEnum):
    """Kafka's `cleanup.policy`."""

    DELETE = "delete"
    COMPACT = "compact"
    COMPACT_AND_DELETE = "compact,delete"


class WrittenBy(StrEnum):
    """Who may write to a topic."""

    PRODUCERS = "producers"
    SERVICE = "service"


@dataclass(frozen=True, slots=True)
class Topic:
    """The facts of one role. `same_partitions`: it must have as many partitions as the requests topic."""

    role: Role
    default_name: str
    cleanup_policy: CleanupPolicy
    private: bool
    written_by: WrittenBy
    same_partitions: bool
    summary: str


_ALL = (
    Topic(
        Role.REQUESTS,
        "video.analysis.requests.v1",
        CleanupPolicy.DELETE,
        private=False,
        written_by=WrittenBy.PRODUCERS,
        same_partitions=True,
        summary="Work to be done, and cancellations of it.",
    ),
    Topic(
        Role.FRAGMENTS,
        "video.analysis.fragments.v1",
        CleanupPolicy.DELETE,
        private=False,
        written_by=WrittenBy.SERVICE,
        same_partitions=True,
        summary="Generated text, live, outside any transaction.",
    ),
    Topic(
        Role.COMPLETIONS,
        "video.analysis.completions.v1",
        CleanupPolicy.DELETE,
        private=False,
        written_by=WrittenBy.SERVICE,
        same_partitions=True,
        summary="The last word on each request. A repeated request has it published again, byte for byte: keep the "
        "first of each ce_source and ce_id.",
    ),
    Topic(
        Role.PROGRESS,
        "video.analysis.progress.v1",
        CleanupPolicy.DELETE,
        private=False,
        written_by=WrittenBy.SERVICE,
        same_partitions=True,
        summary="What happens between a request and its completion.",
    ),
    Topic(
        Role.DEAD_LETTERS,
        "video.analysis.requests.v1.dlq",
        CleanupPolicy.DELETE,
        private=False,
        written_by=WrittenBy.SERVICE,
        same_partitions=True,
        summary="Records that are no requests, byte for byte, with the reason in headers. Kept long.",
    ),
    Topic(
        Role.JOBS,
        "video.analysis.jobs.v1",
        CleanupPolicy.COMPACT,
        private=True,
        written_by=WrittenBy.SERVICE,
        same_partitions=True,
        summary="The state of live jobs.",
    ),
    Topic(
        Role.FINISHED,
        "video.analysis.finished.v1",
        CleanupPolicy.DELETE,
        private=True,
        written_by=WrittenBy.SERVICE,
        same_partitions=True,
        summary="Which requests have ended, for the dedup window.",
    ),
    Topic(
        Role.ASSETS,
        "video.analysis.assets.v1",
        CleanupPolicy.COMPACT_AND_DELETE,
        private=True,
        written_by=WrittenBy.SERVICE,
        same_partitions=False,
        summary="Which video is which asset of the platform, for the reuse window.",
    ),
    Topic(
        Role.HANDOVERS,
        "video.analysis.handovers.v1",
        CleanupPolicy.DELETE,
        private=True,
        written_by=WrittenBy.SERVICE,
        same_partitions=True,
        summary="What processes carry on for partitions that they have lost, and the results of that.",
    ),
    Topic(
        Role.LEDGER,
        "video.analysis.ledger.v1",
        CleanupPolicy.COMPACT,
        private=True,
        written_by=WrittenBy.SERVICE,
        same_partitions=False,
        summary="Who may use how much of the account's quota, in the order of asking.",
    ),
)

TOPICS = MappingProxyType({topic.role: topic for topic in _ALL})
PUBLIC_ROLES = tuple(topic.role for topic in _ALL if not topic.private)
