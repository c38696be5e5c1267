"""Images: as the input of an analysis, and as references in a prompt or a segment definition."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Annotated, Literal, Protocol, Self

from pydantic import Field, StringConstraints, model_validator

from contracts.base64_content import Base64
from contracts.model import Message
from contracts.patterns import IMAGE_NAME, REFERENCE_NAME
from contracts.rejection import rule
from contracts.video import AssetId, HttpsUrl

_PLACEHOLDER = re.compile(r"<@([A-Za-z0-9_-]+)>")


class Named(Protocol):
    """Anything that is referred to by its name."""

    @property
    def name(self) -> str: ...


class _Picture(Message):
    url: HttpsUrl | None = Field(default=None, repr=False)
    asset_id: AssetId | None = None
    base64_string: Base64 | None = Field(default=None, repr=False)

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if sum(source is not None for source in (self.url, self.asset_id, self.base64_string)) != 1:
            raise rule("needs exactly one of url, asset_id and base64_string")
        return self


class ImageInput(_Picture):
    """One image of an analysis of images."""

    name: Annotated[str, StringConstraints(pattern=IMAGE_NAME.regex, max_length=128)]


class MediaSource(_Picture):
    """A reference image; its name may hold hyphens."""

    name: Annotated[str, StringConstraints(pattern=REFERENCE_NAME.regex, max_length=128)]
    media_type: Literal["image"]


MediaSources = Annotated[tuple[MediaSource, ...], Field(strict=False, max_length=4, fail_fast=True)]


class PromptV2(Message):
    """A prompt that refers to images by `<@name>`."""

    input_text: Annotated[str, StringConstraints(min_length=1)]
    media_sources: MediaSources | None = None

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        if names_repeat(self.media_sources or ()):
            raise rule("media_sources: every name may be used once")
        return self


def names_repeat(items: Iterable[Named]) -> bool:
    """Whether two of the items have one name."""
    names = [item.name for item in items]
    return len(set(names)) != len(names)


def placeholders(text: str) -> set[str]:
    """The names a prompt refers to."""
    return set(_PLACEHOLDER.findall(text))
