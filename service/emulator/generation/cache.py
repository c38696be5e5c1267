"""The latest generations, so that a stream, its repeat and a task's many polls make their text once."""

from __future__ import annotations

import json
from collections import OrderedDict

from service.emulator.analysis.analysis_request import AnalysisRequest
from service.emulator.faults.fault import Fault
from service.emulator.generation.generation import Generation, generate
from service.emulator.media.footage import Footage
from service.emulator.options import Pace

_CACHED = 256
_CACHED_CHARACTERS = 50_000_000


class Generations:
    """Bounded by number and by characters."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._made: OrderedDict[str, Generation] = OrderedDict()
        self._characters = 0

    def of(self, footage: Footage, request: AnalysisRequest, pace: Pace, fault: Fault) -> Generation:
        """The text of an analysis; raises `Refusal` and `SegmentationCutShort`."""
        key = _key(footage, request, pace, fault)
        known = self._made.get(key)
        if known is not None:
            self._made.move_to_end(key)
            return known
        made = self._made[key] = generate(footage, request, pace, fault, self._seed)
        self._characters += len(made.text)
        while len(self._made) > 1 and (len(self._made) > _CACHED or self._characters > _CACHED_CHARACTERS):
            _, dropped = self._made.popitem(last=False)
            self._characters -= len(dropped.text)
        return made


def _key(footage: Footage, request: AnalysisRequest, pace: Pace, fault: Fault) -> str:
    """All that a text depends on."""
    schema = json.dumps(request.schema) if request.schema is not None else ""
    return repr(
        (
            footage.sha256,
            (request.prompt, request.temperature, request.start, request.end, request.model_name),
            (request.images, request.references),
            (request.max_tokens, schema, request.definitions, request.time_format),
            (request.min_segment, request.max_segment),
            (pace.fragments, pace.fragment_chars, pace.characters),
            (fault.fragments, fault.characters, fault.finish, fault.invalid_json, fault.raw_separators),
        )
    )
