"""Makes the text of an analysis. The same footage, request and seed always give the same text and fragments."""

from __future__ import annotations

import hashlib
import json
import random
import uuid
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from service.emulator.analysis.analysis_request import AnalysisRequest
from service.emulator.analysis.context_window import CHARACTERS_PER_TOKEN as _CHARS_PER_TOKEN
from service.emulator.analysis.context_window import answer_tokens
from service.emulator.analysis.media_rules import window_of
from service.emulator.behaviours import KnownFrom, behaves
from service.emulator.faults.fault import Fault
from service.emulator.generation.instance import InstanceMaker
from service.emulator.generation.narration import describe_pictures, narrate
from service.emulator.generation.segments import SegmentLimits, segments_of
from service.emulator.media.footage import Footage
from service.emulator.options import Pace

_TOKENS_PER_SECOND = 240
_TOKENS_PER_PICTURE = 1_024
_SHORTEST_SEGMENT = 2.0
SEPARATORS = "\u2028\u2029\u0085"


@dataclass(frozen=True, eq=False)
class Generation:
    """A generated text. With `finish_reason` `length` there is a `warning`."""

    generation_id: str
    text: str
    finish_reason: str
    warning: str | None
    input_tokens: int
    output_tokens: int
    fragment_sizes: tuple[int, ...]

    @property
    def usage(self) -> dict[str, int]:
        return {"output_tokens": self.output_tokens, "input_tokens": self.input_tokens}

    @cached_property
    def fragments(self) -> list[str]:
        parts, at = [], 0
        for size in self.fragment_sizes:
            parts.append(self.text[at : at + size])
            at += size
        return parts


class SegmentationCutShort(Exception):
    """A numeric `max_tokens` is too small for the segments: the task fails without a partial result."""


@behaves(
    "generation.stable",
    "The same content, request and seed give the same text, fragments and tokens; usage is always told.",
    KnownFrom.INFERRED,
    test="generation/test_generation.py::test_the_same_bytes_and_prompt_give_the_same_text_and_others_another",
    on=(
        "analyze_stream",
        "analyze_sync",
        "task_get",
    ),
    item=11,
)
def generate(footage: Footage, request: AnalysisRequest, pace: Pace, fault: Fault, seed: int) -> Generation:
    """Make the text; raises `Refusal` for a window outside the video and `SegmentationCutShort`."""
    start, end = window_of(footage, request.start, request.end)
    told = f"{seed}|{footage.sha256}|{request.prompt}|{request.temperature}|{start}|{end}|{request.model_name}"
    told += json.dumps(request.schema) if request.schema else ""
    rng = random.Random(hashlib.sha256(told.encode()).digest())
    generation_id = str(uuid.UUID(int=rng.getrandbits(128), version=4))
    wanted = fault.fragments or pace.fragments
    least = fault.characters or pace.characters or 0
    if wanted:
        # The wanted number of fragments must fit into max_tokens, so fragments become shorter, down to 1 character.
        fitting = (request.max_tokens or 10**9) * _CHARS_PER_TOKEN * 9 // 10
        least = max(least, min(wanted * pace.fragment_chars, max(wanted, fitting)))
    text = _text(footage, request, start, end, rng, least)
    if fault.invalid_json:
        text = text[: max(1, len(text) * 3 // 4)] + '"}]'
    if fault.raw_separators:
        text = _with_separators(text)
    finish_reason, warning = "stop", None
    # Whichever ends first: `max_tokens`, or what the prompt leaves of the context window.
    room = None
    if request.max_tokens is not None:
        room = min(request.max_tokens, answer_tokens(request)) * _CHARS_PER_TOKEN
    incomplete = fault.finish == "length" and bool(request.definitions) and request.max_tokens is None
    if incomplete:
        text = json.dumps({name: rows[: len(rows) // 2] for name, rows in json.loads(text).items()}, ensure_ascii=False)
        warning = "The segments are incomplete."
    elif fault.finish == "length":
        room = len(text) // 2
    if room is not None and len(text) > room:
        if request.definitions:
            raise SegmentationCutShort
        text, finish_reason = text[:room], "length"
        whole = (request.max_tokens or 0) > answer_tokens(request)
        warning = f"The text was cut off because it reached {'the context window' if whole else 'max_tokens'}."
    spread = random.Random(generation_id)
    return Generation(
        generation_id=generation_id,
        text=text,
        finish_reason=finish_reason,
        warning=warning,
        input_tokens=_input_tokens(request, end - start),
        output_tokens=-(-len(text) // _CHARS_PER_TOKEN),
        fragment_sizes=_sizes(len(text), wanted or max(1, len(text) // pace.fragment_chars), spread),
    )


def _input_tokens(request: AnalysisRequest, seconds: float) -> int:
    pictures = len(request.images) + len(request.references)
    prompt = len(request.prompt) // _CHARS_PER_TOKEN + 1
    return int(seconds * _TOKENS_PER_SECOND) + pictures * _TOKENS_PER_PICTURE + prompt


def _text(
    footage: Footage, request: AnalysisRequest, start: float, end: float, rng: random.Random, characters: int
) -> str:
    if request.definitions:
        limits = SegmentLimits(start, end, request.min_segment or _SHORTEST_SEGMENT, request.max_segment)
        found: dict[str, Any] = {
            item.id: segments_of(footage, item, limits, request.time_format, rng) for item in request.definitions
        }
        return json.dumps(found, ensure_ascii=False)
    if request.images:
        names = [picture.name for picture in request.images]
        story = describe_pictures(footage, names, request.prompt, rng, characters)
    else:
        story = narrate(footage, request.prompt, start, end, rng, characters)
    if request.schema is None:
        return story
    sentences = [f"{part.rstrip('.')}." for part in story.split(". ") if part]
    return json.dumps(InstanceMaker(request.schema, sentences, start, end, rng).make(), ensure_ascii=False)


def _with_separators(text: str) -> str:
    words = text.split(" ")
    return "".join(word + (SEPARATORS[n // 3 % 3] if n % 3 == 2 else " ") for n, word in enumerate(words)).rstrip(" ")


def _sizes(length: int, count: int, rng: random.Random) -> tuple[int, ...]:
    """Random sizes of `count` parts with the sum `length`. None is empty, so a short text has fewer parts."""
    count = max(1, min(count, length))
    mean = length // count
    left = length
    sizes = []
    for number in range(count - 1, 0, -1):
        size = min(max(1, rng.randint(max(1, mean // 2), max(1, mean * 3 // 2))), left - number)
        sizes.append(size)
        left -= size
        mean = left // number
    return (*sizes, left) if left else tuple(sizes)
