"""What to publish instead of an event that is larger than its topic takes. So an end is always possible.

Messages are cut first, then the timeline is left out, the decoded data, and the text: the job fails as
`result_too_large`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from service.domain import endings
from service.domain.change import Event

_CUT_CHARS = (2_000, 100)
"""How long a message may be, in the first try and in the last."""
_TOO_LARGE = "the result is larger than a record of the completions topic"
_CUT = " ... (cut)"
_WHOLE = frozenset({"text", "data", "timeline"})


def smaller_completions(completion: Event) -> Iterator[Event]:
    """Completions to try in turn when `completion` is too large; each smaller than the one before."""
    longest, shortest = _CUT_CHARS
    completion = cut_messages(completion, longest)
    yield completion
    if completion.type == "completed":
        if completion.members.get("timeline") is not None:
            completion = Event("completed", {**completion.members, "timeline": None})
            yield completion
        if completion.members.get("data") is not None:
            left_out = {"data": None, "data_error": "left out: the completion is too large for its topic"}
            yield Event("completed", {**completion.members, **left_out})
        completion = endings.failure("result_too_large", _TOO_LARGE, "analysis")
        yield completion
    yield cut_messages(completion, shortest)


def smaller_progress(event: Event) -> Iterator[Event]:
    """Progress events to try in turn when `event` is too large."""
    for chars in _CUT_CHARS:
        yield cut_messages(event, chars)


def cut_messages(event: Event, chars: int) -> Event:
    """`event` with every string of its members cut to `chars`, but for what a result holds."""
    members = {name: value if name in _WHOLE else _cut(value, chars) for name, value in event.members.items()}
    return Event(event.type, members, event.id_parts, event.attempt)


def _cut(value: Any, chars: int) -> Any:
    if isinstance(value, str) and len(value) > chars:
        return value[: chars - len(_CUT)] + _CUT
    if isinstance(value, dict):
        return {name: _cut(member, chars) for name, member in value.items()}
    return value
