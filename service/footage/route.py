"""Which way a video goes to the platform: one pure decision by its kind, its size and who can reach it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from contracts.platform_limits import DIRECT_UPLOAD_BYTES, MULTIPART_UPLOAD_BYTES, URL_UPLOAD_BYTES
from service.footage.footage import Kind


class Route(StrEnum):
    """How the platform gets the bytes. The values are told in `uploading` events."""

    INLINE = "inline"  # with the analysis itself: no asset is made
    GIVEN = "given"  # it has them: the request names an asset
    URL = "url"  # it fetches them from a URL
    DIRECT = "direct"  # we send them in one request
    MULTIPART = "multipart"  # we send them in chunks, in an upload session


@dataclass(frozen=True, slots=True)
class Source:
    """What the decision needs to know of a video."""

    kind: Kind
    size: int | None = None
    """Bytes; None where they are not known before the platform has them."""
    reachable: bool = False
    """The platform can fetch it by itself, from a URL."""
    ranged: bool = False
    """Any part of it can be read, again and again."""


@dataclass(frozen=True, slots=True)
class NoRoute:
    """The platform takes no such video on any way; `message` says why."""

    message: str


def choose_route(source: Source, *, inline: bool, session_from_bytes: int) -> Route | NoRoute:
    """The way of this video. A URL costs us nothing, so it comes first; a session can be gone on with by another
    process, so it is taken above `session_from_bytes`, and where one request can't hold the video.

    `inline`: the request asks for it. What the contract refuses (an inline file) is not asked again here.
    """
    if source.kind == "asset_id":
        return Route.GIVEN
    if inline:
        return Route.INLINE
    size = source.size
    if source.reachable and (size is None or size <= URL_UPLOAD_BYTES):
        return Route.URL
    if size is None:
        return NoRoute("the size of the video is not known before it is read, so it can't be sent")
    if size > MULTIPART_UPLOAD_BYTES:
        return NoRoute(f"the video has {size} bytes; the platform takes at most {MULTIPART_UPLOAD_BYTES}")
    if source.ranged and size > min(session_from_bytes, DIRECT_UPLOAD_BYTES):
        return Route.MULTIPART
    if size <= DIRECT_UPLOAD_BYTES:
        return Route.DIRECT
    return NoRoute(f"the video has {size} bytes and can't be read in parts; at most {DIRECT_UPLOAD_BYTES} are possible")
