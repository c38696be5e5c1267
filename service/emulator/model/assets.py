"""An asset. Its status is computed from the clock when it is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from service.clock import rfc3339
from service.emulator.behaviours import KnownFrom, behaves
from service.emulator.media.footage import Footage

Metadata = dict[str, Any]


@dataclass(slots=True)
class Asset:
    """`ready` or `failed` once `footage` or `failure` is known, but not before `ready_at`."""

    id: str
    method: str
    filename: str
    file_type: str
    created_at: float
    ready_at: float
    hls: bool
    thumbnail: bool
    url: str | None = None
    metadata: Metadata = field(default_factory=dict)
    sha256: str | None = None
    footage: Footage | None = None
    failure: str | None = None
    reserved: bool = False
    """Its upload session is not complete."""

    def status(self, now: float) -> str:
        if now < self.ready_at or (self.footage is None and self.failure is None):
            return "processing"
        return "ready" if self.failure is None else "failed"

    @behaves(
        "answers.ids",
        "Assets have `_id`, everything else `task_id` or `upload_id`; all are 24 hexadecimal digits.",
        KnownFrom.DOCUMENTED,
        test="http/test_behaviours.py::test_ids_are_24_hexadecimal_digits",
        on=(
            "asset_create",
            "task_create",
            "upload_create",
        ),
        item=3,
    )
    def brief(self, now: float) -> dict[str, Any]:
        """The asset as the answer to its creation shows it."""
        shown: dict[str, Any] = {
            "_id": self.id,
            "method": self.method,
            "status": self.status(now),
            "filename": self.filename,
            "file_type": self.file_type,
            "created_at": rfc3339(self.created_at),
        }
        if self.metadata:
            shown["user_metadata"] = self.metadata
        return shown

    def detail(self, now: float) -> dict[str, Any]:
        """The asset as it is retrieved and listed."""
        shown = self.brief(now)
        status = shown["status"]
        rendition = {"ready": "ready", "failed": "error"}.get(status, "processing")
        if self.hls:
            shown["hls"] = {"status": rendition}
        if self.thumbnail:
            shown["thumbnail"] = {"status": rendition}
        if status == "failed":
            shown["error"] = {"message": self.failure}
        if status == "ready" and self.footage is not None:
            shown["size"] = self.footage.size
            if self.footage.kind != "image":
                shown["duration"] = self.footage.duration
            if self.hls:
                shown["hls"]["manifest_url"] = f"https://cdn.invalid/{self.id}/index.m3u8"
            if self.thumbnail:
                shown["thumbnail"]["representative_url"] = f"https://cdn.invalid/{self.id}/thumbnail.jpg"
            shown["technical_metadata"] = _technical(self.footage, self.file_type)
        return shown

    @property
    def kind(self) -> str:
        return self.footage.kind if self.footage is not None else self.file_type.partition("/")[0]


def _technical(footage: Footage, file_type: str) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "file_size_bytes": footage.size,
        "file_mime_type": file_type,
        "file_container_format": footage.container,
        "has_audio": footage.audio_codec is not None,
        "total_video_streams": footage.video_streams,
        "total_audio_streams": footage.audio_streams,
    }
    if footage.video_codec is not None:
        shown |= {
            "video_codec": footage.video_codec,
            "video_width": footage.width,
            "video_height": footage.height,
            "video_fps": footage.fps,
            "video_duration_seconds": footage.duration,
        }
    if footage.audio_codec is not None:
        shown |= {
            "audio_codec": footage.audio_codec,
            "audio_sample_rate": footage.sample_rate,
            "audio_channels": footage.channels,
            "audio_duration_seconds": footage.audio_duration,
        }
    return shown


def matching_assets(
    assets: Sequence[Asset], ids: Sequence[str], kinds: Sequence[str], filename: str | None
) -> list[Asset]:
    """The assets that meet all conditions of the list endpoint, newest first. An empty condition is always met."""
    part = (filename or "").lower()
    return [
        asset
        for asset in reversed(assets)
        if (not ids or asset.id in ids) and (not kinds or asset.kind in kinds) and part in asset.filename.lower()
    ]


def cleaned(metadata: Metadata) -> Metadata:
    """Metadata without null, empty texts and empty lists, which the platform drops."""
    return {name: value for name, value in metadata.items() if value not in (None, "", [])}


def merged(old: Metadata, changes: Metadata) -> Metadata:
    """Metadata after a PATCH: null removes a member; empty texts and lists change nothing."""
    kept = {name: value for name, value in old.items() if not (name in changes and changes[name] is None)}
    return kept | cleaned(changes)
