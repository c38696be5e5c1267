"""Videos that we never see: the platform fetches a URL by itself, or has the asset already."""

from __future__ import annotations

from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

from service.footage.errors import SourceNotAllowed
from service.footage.footage import Footage, content_type_of, identity_of

MAX_NAME_CHARS = 255


def url_footage(url: str) -> Footage:
    """A public or presigned link. We never fetch it; the identity is the exact URL."""
    try:
        parts = urlsplit(url)
        known = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        known = False
    if not known:
        raise SourceNotAllowed("only http and https URLs are handed to the platform")
    name = PurePosixPath(unquote(parts.path, errors="replace")).name
    name = "".join(character for character in name if character.isprintable())[-MAX_NAME_CHARS:] or "video"
    return Footage(
        kind="url", identity=identity_of("url", url), filename=name, content_type=content_type_of(name), url=url
    )


def asset_footage(asset_id: str) -> Footage:
    """An asset that the caller has made."""
    return Footage(
        kind="asset_id",
        identity=identity_of("asset_id", asset_id),
        filename=asset_id,
        content_type="application/octet-stream",
        asset_id=asset_id,
    )
