"""Which assets of the platform nobody needs any more. Pure: what is known of an asset in, a verdict out."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """What is to become of an asset, and why. The values are told in the metric and the log."""

    FOREIGN = "foreign"
    """Not made by this deployment with this key: never touched."""
    YOUNG = "young"
    """Too new, or nobody knows how old: its upload may still be under way."""
    RECENT = "recent"
    """A request has used it within the time."""
    NAMED = "named"
    """A live job of any process refers to it."""
    UNUSED = "unused"
    """To be deleted: no request has used it for the time set."""
    ORPHANED = "orphaned"
    """To be deleted: no note leads to it. Its upload was cut off, has failed, or was done twice."""

    @property
    def deletes(self) -> bool:
        """Whether the asset goes."""
        return self in (Verdict.UNUSED, Verdict.ORPHANED)


@dataclass(frozen=True, slots=True)
class StoredAsset:
    """An asset as the platform lists it. Times are seconds since the epoch, by this process's clock."""

    id: str
    ours: bool
    """It carries a mark of this deployment, proven by our key."""
    created_at: float | None
    unfinished: bool
    """Its bytes come through an upload session that is not complete."""


@dataclass(frozen=True, slots=True)
class LastUse:
    """What the assets topic says of the video: its asset, and when a request used that last."""

    asset_id: str
    used_at: float


@dataclass(frozen=True, slots=True)
class HousekeepingPolicy:
    """All in seconds."""

    delete_after: float
    """Without a use."""
    upload_time: float
    """How long an upload, with the wait for its asset, may take."""
    session_time: float
    """How long an upload session lasts; until then an upload may be continued in it."""


def touch_seconds(reuse_seconds: float, delete_after_seconds: float | None) -> float:
    """How old the note of a use may become before the next use is noted again.

    A twenty-fourth of the time that assets are reused, and less where they are deleted sooner.
    """
    often = reuse_seconds / 24
    return often if delete_after_seconds is None else min(often, delete_after_seconds / 4)


def verdict(
    asset: StoredAsset, last_use: LastUse | None, *, named: bool, now: float, policy: HousekeepingPolicy
) -> Verdict:
    """Decide about one asset. `named`: a live job refers to it; `last_use` is that of its video, if there is one.

    A use may be a little later than its note says (`touch_seconds`), so an asset goes a quarter of the time later.
    """
    if not asset.ours:
        return Verdict.FOREIGN
    if named:
        return Verdict.NAMED
    least = max(policy.delete_after, policy.session_time if asset.unfinished else policy.upload_time)
    if asset.created_at is None or now < asset.created_at + least:
        return Verdict.YOUNG
    if last_use is None or last_use.asset_id != asset.id:
        return Verdict.ORPHANED
    return Verdict.RECENT if now < last_use.used_at + policy.delete_after * 1.25 else Verdict.UNUSED
