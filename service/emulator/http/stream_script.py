"""Prepares the lines of an NDJSON stream, and changes them as a fault asks. Pure: nothing is sent here."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from service.emulator.behaviours import KnownFrom, behaves
from service.emulator.faults.fault import Fault
from service.emulator.generation.generation import Generation

Ending = Literal["whole", "cut", "short"]
_STALL_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class StreamScript:
    """The lines of one stream, and how they are sent."""

    lines: Sequence[bytes]
    ending: Ending
    """`cut`: half of the last line is sent, then the connection is closed. `short`: the response ends properly, but
    without `stream_end`."""
    stall_before: int | None
    """The number of the line before which nothing is sent for `stall_seconds`."""
    stall_seconds: float
    fragments: int
    """How many of the lines hold a text."""


@behaves(
    "analyze.events",
    "A stream is `stream_start`, texts cut anywhere, `stream_end`; its texts join to the answer of the "
    "same request without a stream.",
    KnownFrom.DOCUMENTED,
    test="http/test_sdk.py::test_a_stream_joins_to_the_text_of_the_synchronous_answer",
    on=("analyze_stream",),
    item=6,
)
@behaves(
    "analyze.ascii",
    "Lines are escaped to ASCII; a fault sends raw U+2028, which the SDK loses a text at.",
    KnownFrom.SDK,
    test="http/test_analyze_routes.py::test_streams_are_escaped_ascii",
    on=("analyze_stream",),
    item=6,
)
@lru_cache(maxsize=128)
def stream_lines(generation: Generation, *, raw: bool) -> tuple[bytes, ...]:
    """The lines without a fault: start, texts, end. With `raw`, characters beyond ASCII are not escaped.

    Cached, because many streams send the same generation.
    """
    start: dict[str, Any] = {"event_type": "stream_start", "metadata": {"generation_id": generation.generation_id}}
    end: dict[str, Any] = {
        "event_type": "stream_end",
        "finish_reason": generation.finish_reason,
        "metadata": {"generation_id": generation.generation_id, "usage": generation.usage},
    }
    if generation.warning is not None:
        end["error"] = {"message": generation.warning}
    texts = ({"event_type": "text_generation", "text": text} for text in generation.fragments)
    return tuple(line(event, raw=raw) for event in (start, *texts, end))


def line(event: dict[str, Any], *, raw: bool = False) -> bytes:
    """One line of a stream; `raw` writes only ASCII, with escapes for the rest."""
    return json.dumps(event, ensure_ascii=not raw, separators=(",", ":")).encode() + b"\n"


@behaves(
    "analyze.broken_streams",
    "Faults cut a stream, end it without `stream_end`, stall it, and put in unknown, repeated, "
    "unreadable and error lines.",
    KnownFrom.INFERRED,
    test="http/test_stream_script.py::test_a_stream_is_cut_in_the_middle_of_a_line",
    on=("analyze_stream",),
    item=6,
)
def scripted(lines: Sequence[bytes], fault: Fault) -> StreamScript:
    """Apply the fault to the lines. A fragment number beyond the last fragment means the last one."""
    fragments = len(lines) - 2
    sent = list(lines)
    inserted: list[tuple[int, bytes]] = []

    def after(count: int) -> int:
        return 1 + min(max(0, count), fragments)

    if fault.duplicate_after is not None:
        at = after(max(1, fault.duplicate_after))
        inserted.append((at, lines[at - 1]))
    if fault.unknown_after is not None:
        inserted.append((after(fault.unknown_after), line({"event_type": "heartbeat", "note": "unknown to clients"})))
    if fault.garbage_after is not None:
        inserted.append((after(fault.garbage_after), b'{"event_type":"text_gen\n'))
    ending: Ending = "whole"
    if fault.error_after is not None:
        at, ending = after(fault.error_after), "short"
        error = {"code": fault.code or "generic_error", "message": fault.message or "The generation failed."}
        sent = [*sent[:at], line(error)]
    elif fault.end_after is not None:
        sent, ending = sent[: after(fault.end_after)], "short"
    elif fault.cut_after is not None:
        sent, ending = sent[: after(fault.cut_after) + 1], "cut"
    stall = after(fault.stall_after) if fault.stall_after is not None else None
    for at, extra in sorted(inserted, reverse=True):
        sent.insert(min(at, len(sent)), extra)
        if stall is not None and stall > at:
            stall += 1
    return StreamScript(
        lines=sent,
        ending=ending,
        stall_before=stall if stall is not None and stall < len(sent) else None,
        stall_seconds=_STALL_SECONDS if fault.stall_seconds is None else fault.stall_seconds,
        fragments=sum(item.startswith(b'{"event_type":"text_generation"') for item in sent),
    )
