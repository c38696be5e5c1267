"""Ranges and rules of a request as data: they drive the check, the JSON schema, the reference page and the tests.

Ranges are here; the rules stand beside the models that they are about, and `request_rules.RULES` is all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeVar

from pydantic import Field, ValidationInfo

from contracts.limits import MAX_TOKENS, MIN_TOKENS
from contracts.platform_limits import MAX_IMAGES, MAX_REFERENCES
from contracts.rejection import rule

T = TypeVar("T")
STORED = object()
"""The context of validating a request that was taken before: its schema, and rules between members, are not checked
again. The check costs more than everything else, and a rule that is stricter today must not make a job of yesterday
unreadable."""
Base = Literal["general", "segments", "images"]
Unit = Literal["", "seconds", "tokens", "items", "characters"]


@dataclass(frozen=True, slots=True)
class Range:
    """From `least` to `most`, both allowed; None: no bound. `member` is the path from the request, with `[0]`."""

    member: str
    least: float | None
    most: float | None
    unit: Unit = ""
    ours: bool = False
    """A bound of this service; the platform is not known to have it."""

    def field(self) -> Any:
        """What a model says of the member, inside `Annotated`."""
        if self.unit == "items":
            return Field(strict=False, fail_fast=True, min_length=_whole(self.least), max_length=_whole(self.most))
        if self.unit == "characters":
            return Field(min_length=_whole(self.least), max_length=_whole(self.most))
        return Field(ge=self.least, le=self.most)


def _whole(bound: float | None) -> int | None:
    return None if bound is None else int(bound)


_SEGMENT = "response_format.segment_definitions[0]"
_FIELD = f"{_SEGMENT}.fields[0]"

TEMPERATURE = Range("temperature", 0, 1)
TOKENS = Range("max_tokens", MIN_TOKENS, MAX_TOKENS, "tokens")
START_TIME = Range("start_time", 0, None, "seconds")
END_TIME = Range("end_time", 0, None, "seconds")
SHORTEST_SEGMENT = Range("min_segment_duration", 2, None, "seconds")
LONGEST_SEGMENT = Range("max_segment_duration", 2, None, "seconds")
IMAGES = Range("image", 1, MAX_IMAGES, "items")
PROMPT = Range("prompt", 1, None, "characters")
INPUT_TEXT = Range("prompt_v2.input_text", 1, None, "characters")
REFERENCES = Range("prompt_v2.media_sources", None, MAX_REFERENCES, "items")
DEFINITIONS = Range("response_format.segment_definitions", 1, 20, "items")
DEFINITION_REFERENCES = Range(f"{_SEGMENT}.media_sources", None, MAX_REFERENCES, "items")
TIME_RANGES = Range(f"{_SEGMENT}.time_ranges", 1, None, "items", ours=True)
RANGE_START = Range(f"{_SEGMENT}.time_ranges[0].start_time", 0, None, "seconds")
ENUM = Range(f"{_FIELD}.enum", 1, 100, "items")
INNER_FIELDS = Range(f"{_FIELD}.items.fields", 1, None, "items")

RANGES = (
    TEMPERATURE, TOKENS, START_TIME, END_TIME, SHORTEST_SEGMENT, LONGEST_SEGMENT, IMAGES, PROMPT, INPUT_TEXT,
    REFERENCES, DEFINITIONS, DEFINITION_REFERENCES, TIME_RANGES, RANGE_START, ENUM, INNER_FIELDS,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Rule(Generic[T]):
    """Something that is refused, about one object of a request: the request itself, or one inside it."""

    member: str
    """What the refusal names, below the object; empty for the object itself."""
    words: str
    """What to do instead."""
    broken: Callable[[T], bool]
    example: Mapping[str, Any] = field(default_factory=dict)
    """Members that break it, put into the object at `at` of the least valid request of kind `base`. None: left out."""
    base: Base = "general"
    at: str = ""
    """The path of the object from the request; empty for the request itself."""
    schema: Mapping[str, Any] | None = None
    """What a request that keeps the rule satisfies; None where JSON Schema can't say it, or the models' schemas do."""
    ours: bool = False
    """A rule of this service; the platform knows nothing of it."""

    @property
    def refusal(self) -> str:
        """The message, from the object on."""
        return f"{self.member}: {self.words}" if self.member else self.words

    @property
    def path(self) -> str:
        """What is named in the end, from the request on."""
        return ".".join(part for part in (self.at, self.member) if part)


def first_broken(rules: Iterable[Rule[T]], given: T) -> str | None:
    """The refusal of the first rule that `given` breaks; None when it breaks none."""
    return next((item.refusal for item in rules if item.broken(given)), None)


def check(rules: Iterable[Rule[Any]], given: object, info: ValidationInfo | None = None) -> None:
    """Of a validator: raises what one raises, for the first rule that `given` breaks. Not for what is stored."""
    if info is not None and info.context is STORED:
        return
    refusal = first_broken(rules, given)
    if refusal is not None:
        raise rule(refusal)
