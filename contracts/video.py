"""Where a video comes from: the platform's three sources and two of our own."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, field_validator

from contracts.model import Message
from contracts.rejection import rule

ASSET_ID_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._~-]{0,127}$"
"""Ids are opaque, but go into paths unescaped; so only what needs no escaping."""

BASE64_PATTERN = r"^[A-Za-z0-9+/]+={0,2}$"

HttpUrl = Annotated[
    str,
    StringConstraints(pattern=r"^[Hh][Tt][Tt][Pp][Ss]?://[^\s\x00-\x1f\x7f/?#]+[^\s\x00-\x1f\x7f]*$", max_length=8192),
]
HttpsUrl = Annotated[
    str,
    StringConstraints(pattern=r"^[Hh][Tt][Tt][Pp][Ss]://[^\s\x00-\x1f\x7f/?#]+[^\s\x00-\x1f\x7f]*$", max_length=8192),
]
AssetId = Annotated[str, StringConstraints(pattern=ASSET_ID_PATTERN)]
Base64 = Annotated[str, StringConstraints(pattern=BASE64_PATTERN)]


def check_base64(text: str) -> str:
    """`text` if its length can be that of base64, padded or not; the alphabet is the pattern's business."""
    stripped = len(text.rstrip("="))
    if stripped % 4 == 1 or (len(text) != stripped and len(text) % 4):
        raise rule("is not base64: its length can't be right; encode the whole content, padded or not")
    return text


class _Source(Message):
    key: Annotated[str, StringConstraints(min_length=1, max_length=1024)] | None = None
    """The caller's own name for the content: two sources with one key are the same video."""


class UrlVideo(_Source):
    """A public link to the raw media."""

    type: Literal["url"]
    url: HttpUrl = Field(repr=False)
    """May be signed: never logged."""


class AssetVideo(_Source):
    """An asset the platform already has."""

    type: Literal["asset_id"]
    asset_id: AssetId


class Base64Video(_Source):
    """The bytes themselves."""

    type: Literal["base64_string"]
    base64_string: Base64 = Field(repr=False)

    @field_validator("base64_string")
    @classmethod
    def _whole(cls, value: str) -> str:
        return check_base64(value)


class FileVideo(_Source):
    """A file the service can read, below one of its allowed roots."""

    type: Literal["file"]
    path: Annotated[str, StringConstraints(min_length=1, max_length=4096)]

    @field_validator("path")
    @classmethod
    def _no_nul(cls, value: str) -> str:
        if "\0" in value:
            raise rule("must not hold a NUL character")
        return value


class ObjectVideo(_Source):
    """An object in a store, below one of the allowed prefixes."""

    type: Literal["object"]
    uri: Annotated[str, StringConstraints(pattern=r"^(s3|gs|az)://[^/\s]+/.+$", max_length=4096)]


Video = Annotated[UrlVideo | AssetVideo | Base64Video | FileVideo | ObjectVideo, Field(discriminator="type")]
