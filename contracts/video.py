"""The sources of a video: three of the platform, and two of our own (files and object stores)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, field_validator

from contracts.base64_content import Base64
from contracts.model import Message
from contracts.patterns import ASSET_ID, HTTP_URL, HTTPS_URL, OBJECT_URI
from contracts.rejection import rule

HttpUrl = Annotated[str, StringConstraints(pattern=HTTP_URL.regex, max_length=8192)]
HttpsUrl = Annotated[str, StringConstraints(pattern=HTTPS_URL.regex, max_length=8192)]
AssetId = Annotated[str, StringConstraints(pattern=ASSET_ID.regex)]


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
    """A prefix `data:…;base64,` is taken off."""


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
    uri: Annotated[str, StringConstraints(pattern=OBJECT_URI.regex, max_length=4096)]


Video = Annotated[UrlVideo | AssetVideo | Base64Video | FileVideo | ObjectVideo, Field(discriminator="type")]
