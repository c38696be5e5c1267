"""Images of a request: as its input, and as references of a prompt or a segment definition."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from contracts.images import placeholders
from contracts.patterns import IMAGE_NAME, REFERENCE_NAME
from contracts.platform_limits import IMAGE_BYTES, IMAGE_INPUT_BYTES, MAX_IMAGES, MAX_REFERENCES, base64_characters
from service.emulator.behaviours import KnownFrom, behaves
from service.emulator.parameters import Parameters
from service.emulator.refusals import Refusal, invalid

SourceType = Literal["url", "asset_id", "base64_string"]
_SOURCES: tuple[SourceType, ...] = ("url", "asset_id", "base64_string")
_KEPT_OUT = "-"


@dataclass(frozen=True, slots=True)
class Source:
    """Where the bytes come from."""

    type: SourceType
    value: str


@dataclass(frozen=True, slots=True)
class Picture:
    """One image by its name. `named` is its place in the request, for messages."""

    name: str
    source: Source
    named: str
    limit_bytes: int


@behaves(
    "analysis.images",
    "1 to 20 images for pegasus1.6, all or none of them referred to; they are fetched and looked at when "
    "the request comes.",
    KnownFrom.DOCUMENTED,
    test="analysis/test_pictures.py::test_images_that_the_platform_does_not_take_are_refused",
    on=(
        "analyze_stream",
        "analyze_sync",
        "task_create",
    ),
    item=10,
)
def parse_images(given: Parameters, *, model_name: str, prompt: str | None) -> tuple[Picture, ...]:
    """The member `image`, empty when it is absent; raises `Refusal`."""
    if not given.given("image"):
        return ()
    if model_name != "pegasus1.6":
        raise invalid("The image parameter needs model_name pegasus1.6.")
    found = _pictures(given.objects("image", least=1, most=MAX_IMAGES), IMAGE_NAME.regex, IMAGE_INPUT_BYTES)
    names, referred = {picture.name for picture in found}, placeholders(prompt or "")
    if referred & names and not names <= referred:
        raise invalid("The prompt parameter must refer to every image or to none.")
    return found


def parse_references(given: Parameters) -> tuple[Picture, ...]:
    """The member `media_sources`, empty when it is absent; raises `Refusal`."""
    wanted = given.objects("media_sources", most=MAX_REFERENCES)
    for item in wanted:
        item.text("media_type", required=True, choices=("image",))
    return _pictures(wanted, REFERENCE_NAME.regex, IMAGE_BYTES)


def without_base64(value: Any) -> Any:
    """A part of a body as its task keeps it: the content of images is left out."""
    if isinstance(value, list):
        return [without_base64(item) for item in value]
    if isinstance(value, dict):
        return {
            name: _KEPT_OUT if name == "base64_string" and isinstance(item, str) else without_base64(item)
            for name, item in value.items()
        }
    return value


def _pictures(items: Sequence[Parameters], pattern: str, limit_bytes: int) -> tuple[Picture, ...]:
    found = tuple(_picture(item, pattern, limit_bytes) for item in items)
    if len({picture.name for picture in found}) != len(found):
        raise invalid("The names of images must be unique.")
    return found


def _picture(given: Parameters, pattern: str, limit_bytes: int) -> Picture:
    name = given.text("name", required=True) or ""
    if re.fullmatch(pattern, name) is None:
        raise invalid(f"The {given.named('name')} parameter has characters that are not allowed.")
    sources = [kind for kind in _SOURCES if given.given(kind)]
    if len(sources) != 1:
        raise invalid(f"The {given.named('url')} parameter: exactly one of {', '.join(_SOURCES)} is needed.")
    kind = sources[0]
    value = given.text(kind, required=True) or ""
    if kind == "url" and not value.lower().startswith("https://"):
        raise invalid(f"The {given.named('url')} parameter must be an https URL.")
    if kind == "base64_string" and len(value) > base64_characters(limit_bytes):
        raise Refusal(
            400, "parameter_invalid", f"The {given.named(kind)} parameter is larger than {limit_bytes} bytes."
        )
    return Picture(name, Source(kind, value), given.named(kind), limit_bytes)
