"""Images: as the input of an analysis, and as references in a prompt or a segment definition."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Annotated, Any, Literal, Protocol, Self

from pydantic import Field, StringConstraints, ValidationInfo, model_validator

from contracts.base64_content import Base64
from contracts.model import Message
from contracts.patterns import IMAGE_NAME, REFERENCE_NAME
from contracts.platform_limits import IMAGE_INPUT_BYTES, base64_characters
from contracts.rule_table import INPUT_TEXT, REFERENCES, Rule, check
from contracts.video import AssetId, HttpsUrl

TWIN = {"name": "a", "media_type": "image", "url": "https://media.example.com/a.png"}
"""A reference, for the examples of rules."""

_PLACEHOLDER = re.compile(r"<@([A-Za-z0-9_-]+)>")


class Named(Protocol):
    """Anything that is referred to by its name."""

    @property
    def name(self) -> str: ...


class _Picture(Message):
    url: HttpsUrl | None = Field(default=None, repr=False)
    """Where the platform fetches it; instead of `asset_id` and `base64_string`."""
    asset_id: AssetId | None = None
    """The platform's asset of it."""
    base64_string: Base64 | None = Field(default=None, repr=False)
    """The image itself."""

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        check(SOURCE_RULES, self)
        return self


SOURCE_RULES: tuple[Rule[_Picture], ...] = tuple(
    Rule(
        "",
        "needs exactly one of url, asset_id and base64_string",
        lambda p: sum(source is not None for source in (p.url, p.asset_id, p.base64_string)) != 1,
        example,
        "images",
        "image[0]",
    )
    for example in ({"asset_id": "66f0a1b2c3d4e5f601234567"}, {"url": None})
)


class ImageInput(_Picture):
    """One image of an analysis of images."""

    name: Annotated[str, StringConstraints(pattern=IMAGE_NAME.regex, max_length=128)]
    """What the prompt calls it: `<@name>`."""

    @model_validator(mode="after")
    def _small(self, info: ValidationInfo) -> Self:
        check(IMAGE_RULES, self, info)
        return self


IMAGE_RULES: tuple[Rule[ImageInput], ...] = (
    Rule(
        "base64_string",
        f"must be at most {IMAGE_INPUT_BYTES // 1_000_000} MB, decoded",
        lambda i: i.base64_string is not None and len(i.base64_string) > base64_characters(IMAGE_INPUT_BYTES),
        base="images",
        at="image[0]",
    ),
)
"""Without an example: it would be 27 MB long."""


class MediaSource(_Picture):
    """A reference image; its name may hold hyphens."""

    name: Annotated[str, StringConstraints(pattern=REFERENCE_NAME.regex, max_length=128)]
    """What the prompt calls it: `<@name>`."""
    media_type: Literal["image"]
    """The platform takes no other kind."""


MediaSources = Annotated[tuple[MediaSource, ...], REFERENCES.field()]


class PromptV2(Message):
    """A prompt that refers to images by `<@name>`."""

    input_text: Annotated[str, INPUT_TEXT.field()]
    """What to do with the video."""
    media_sources: MediaSources | None = None
    """The images that the text refers to."""

    @model_validator(mode="after")
    def _distinct(self, info: ValidationInfo) -> Self:
        check(PROMPT_RULES, self, info)
        return self


PROMPT_RULES: tuple[Rule[PromptV2], ...] = (
    Rule(
        "media_sources",
        "every name may be used once",
        lambda p: names_repeat(p.media_sources or ()),
        {"media_sources": [TWIN, TWIN]},
        at="prompt_v2",
    ),
)

PICTURE_RULES: tuple[Rule[Any], ...] = (*SOURCE_RULES, *IMAGE_RULES, *PROMPT_RULES)
"""About one image, or the references of a prompt."""


def names_repeat(items: Iterable[Named]) -> bool:
    """Whether two of the items have one name."""
    names = [item.name for item in items]
    return len(set(names)) != len(names)


def placeholders(text: str) -> set[str]:
    """The names a prompt refers to."""
    return set(_PLACEHOLDER.findall(text))
