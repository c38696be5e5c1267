"""The endpoint `POST /analyze`: a stream of events, or one answer."""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp import web

from service.emulator.analysis.analysis_request import parse_analysis
from service.emulator.analysis.context_window import check_prompt
from service.emulator.analysis.media_rules import refused_in_analysis, window_of
from service.emulator.behaviours import KnownFrom, behaves
from service.emulator.generation.generation import Generation
from service.emulator.http.answers import json_response
from service.emulator.http.calls import Call, client_left, endpoint
from service.emulator.http.stream_script import StreamScript, scripted, stream_lines

_NOTED_PROMPT = 200
_BURST_LINES = 64
_STALL_POLL_SECONDS = 0.05


@behaves(
    "analyze.stream_by_default",
    "`/analyze` answers with a stream unless `stream` is false.",
    KnownFrom.DOCUMENTED,
    test="http/test_analyze_routes.py::test_a_stream_has_as_many_fragments_as_asked_for",
    on=(
        "analyze_stream",
        "analyze_sync",
    ),
    item=6,
)
async def _analyze(call: Call) -> web.StreamResponse:
    platform, options = call.platform, call.platform.options
    body, data = await call.json()
    if isinstance(body, dict) and body.get("stream") is False:
        call.operation = "analyze_sync"
    request = parse_analysis(
        body, task=False, strict=options.strict_parameters, video_limit_bytes=options.inline_limit_bytes
    )
    call.note(prompt=request.prompt[:_NOTED_PROMPT], stream=request.stream)
    text = data.decode("utf-8", "replace") if platform.faults.rules else ""
    await call.apply_faults(text, request.directive, request.prompt)
    check_prompt(request, options.prompt_limit_tokens)
    footage = await call.while_wanted(platform.footage_of(request, unknown_status=404))
    start, end = window_of(footage, request.start, request.end)
    refusal = None if request.images else refused_in_analysis(footage, "sync", end - start)
    if refusal is not None:
        raise refusal
    generation = platform.generations.of(footage, request, platform.pace, call.fault)
    platform.spend(call.key, request, platform.pace, call.fault, footage)
    call.note(generation_id=generation.generation_id, sha256=footage.sha256)
    return await (_stream if request.stream else _answer)(call, generation)


@behaves(
    "analyze.answer",
    "Without a stream the answer has `id`, `data`, `finish_reason`, `usage`, and `error` as a warning "
    "when the text was cut.",
    KnownFrom.DOCUMENTED,
    test="generation/test_generation.py::test_max_tokens_cuts_the_text_with_a_warning",
    on=("analyze_sync",),
    item=11,
)
async def _answer(call: Call, generation: Generation) -> web.StreamResponse:
    await asyncio.sleep(call.platform.pace.sync_seconds * call.platform.pace.time_scale)
    answer: dict[str, Any] = {
        "id": generation.generation_id,
        "data": generation.text,
        "finish_reason": generation.finish_reason,
        "usage": generation.usage,
    }
    if generation.warning is not None:
        answer["error"] = {"message": generation.warning}
    return json_response(answer)


@behaves(
    "analyze.content_type",
    "A stream is sent in chunks as `application/x-ndjson`; another content type is an option.",
    KnownFrom.INFERRED,
    test="http/test_behaviours.py::test_a_stream_is_sent_as_ndjson_in_chunks",
    on=("analyze_stream",),
    item=6,
)
async def _stream(call: Call, generation: Generation) -> web.StreamResponse:
    pace, fault, streams = call.platform.pace, call.fault, call.platform.activity.streams
    first_ms = pace.first_fragment_ms if fault.first_ms is None else fault.first_ms
    interval_ms = pace.fragment_interval_ms if fault.interval_ms is None else fault.interval_ms
    script = scripted(stream_lines(generation, raw=bool(fault.raw_separators)), fault)
    response = web.StreamResponse(headers={"Content-Type": call.platform.options.stream_content_type})
    response.enable_chunked_encoding()
    streams["started"] += 1
    await asyncio.sleep(first_ms * pace.time_scale / 1000)
    try:
        await response.prepare(call.request)
        await _send_lines(call, response, script, interval_ms * pace.time_scale / 1000)
        if script.ending == "cut":
            streams["cut"] += 1
            await response.write(script.lines[-1][: len(script.lines[-1]) // 2])
            call.disconnect()
            return response
        await response.write_eof()
    except ConnectionError:
        streams["disconnected"] += 1
        call.note(disconnected=True)
        return response
    streams["ended" if script.ending == "whole" else "cut"] += 1
    streams["fragments"] += script.fragments
    return response


async def _send_lines(call: Call, response: web.StreamResponse, script: StreamScript, interval: float) -> None:
    """Send each line when it is due. Lines that are due at the same time are sent in one write."""
    loop = asyncio.get_running_loop()
    lines = script.lines if script.ending != "cut" else script.lines[:-1]
    began = loop.time()
    sent = 0
    stall_before = script.stall_before
    while sent < len(lines):
        if sent == stall_before:
            stall_before = None
            await _stall(call, script.stall_seconds)
            began = loop.time() - sent * interval
        now = loop.time()
        due = len(lines) if interval <= 0 else int((now - began) / interval) + 1
        until = min(due, len(lines), sent + _BURST_LINES)
        if stall_before is not None:
            until = min(until, stall_before)
        if until > sent:
            await response.write(b"".join(lines[sent:until]) if until > sent + 1 else lines[sent])
            sent = until
        else:
            await asyncio.sleep(began + sent * interval - now)


async def _stall(call: Call, seconds: float) -> None:
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds
    while loop.time() < until:
        if client_left(call.request):
            raise ConnectionResetError
        await asyncio.sleep(_STALL_POLL_SECONDS)


def analyze_routes() -> list[web.RouteDef]:
    """Paths are relative to `/v1.3`."""
    return [web.post("/analyze", endpoint("analyze_stream", _analyze))]
