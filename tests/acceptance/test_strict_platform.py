"""The whole service against the strict stand-in: a mix of every kind of request breaks no rule of the documents."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from tests.conftest import MakeStage
from tests.harness.stage import Stage
from tests.standin.server import KEY, StandIn
from tests.support.png import png_base64

pytestmark = pytest.mark.acceptance

FIELDS = [
    {"name": "vehicle", "type": "string", "description": "Kind", "enum": ["truck", "van"]},
    {"name": "seen", "type": "timestamp", "format": "hh:mm:ss", "description": "First seen"},
    {"name": "tags", "type": "array", "description": "Labels", "items": {"type": "string"}},
    {
        "name": "near_misses",
        "type": "time_array",
        "description": "Each near miss",
        "items": {"type": "object", "fields": [{"name": "severity", "type": "string", "description": "How bad"}]},
    },
]
DEFINITION = {"id": "loading", "description": "A truck is loaded", "fields": FIELDS}
SCHEMA = {
    "type": "json_schema",
    "json_schema": {
        "type": "object",
        "properties": {"title": {"type": "string"}, "at": {"type": "timestamp", "format": "seconds"}},
        "required": ["title"],
    },
}
LOGO = {"name": "logo-1", "media_type": "image", "base64_string": png_base64()}
SOURCES = {"media_sources": [LOGO]}
PICTURES = [{"name": "a", "base64_string": png_base64()}, {"name": "b", "url": "https://media.example.com/b.png"}]


def _segments(**members: Any) -> dict[str, Any]:
    form = {"type": "segment_definitions", "segment_definitions": [DEFINITION], **members}
    return {"prompt": None, "analysis_mode": "time_based_metadata", "response_format": form}


@pytest.fixture(scope="module")
def stage(make_stage: MakeStage) -> Stage:
    return make_stage(serve=False)


def _mix(stage: Stage) -> dict[str, dict[str, Any]]:
    """Every kind of request, by its id."""
    inline = base64.b64encode(stage.clip().read_bytes()).decode()
    url = {"type": "url", "url": "https://media.example.com/cam%207/9.mp4?sig=a%2Fb&x=1"}
    shared = stage.clip()
    kinds: dict[str, dict[str, Any]] = {
        "url-stream": {"video": url, "mode": "stream"},
        "url-inline": {"video": url, "mode": "sync", "upload": "inline"},
        "file-stream": {"path": shared, "mode": "stream"},
        "file-sync": {"path": shared, "mode": "sync", "temperature": 0.7, "max_tokens": 1024},
        "file-async": {"path": shared, "mode": "async"},
        "bytes": {"video": {"type": "base64_string", "base64_string": inline}},
        "bytes-inline": {"video": {"type": "base64_string", "base64_string": inline}, "upload": "inline"},
        "window": {"path": shared, "mode": "sync", "start_time": 1, "end_time": 30.5},
        "structured-stream": {"path": shared, "mode": "stream", "response_format": SCHEMA},
        "structured-async": {"path": shared, "mode": "async", "response_format": SCHEMA},
        "segments": {"path": shared, "max_tokens": "unlimited", "min_segment_duration": 2, **_segments()},
        "segments-clock": {"path": shared, **_segments(segment_time_format="hh:mm:ss.fff")},
        "images": {"image": PICTURES, "prompt": "Compare <@a> with <@b>.", "mode": "sync"},
        "images-async": {"image": PICTURES, "mode": "async"},
        "references": {"path": shared, "prompt": None, "prompt_v2": {"input_text": "<@logo-1>?", **SOURCES}},
        "large": {"path": stage.clip(), "mode": "async"},
        "batch": {"path": shared, "mode": "async", "batch": True, "model_name": "pegasus1.5"},
        "batch-too": {"path": shared, "mode": "async", "batch": True, "model_name": "pegasus1.5", "temperature": 0.1},
    }  # fmt: skip
    requests = {}
    for kind, members in kinds.items():
        name = stage.name(kind)
        requests[name] = stage.analyze(name, members.pop("path", None), model_name="pegasus1.6") | members
    return requests


async def test_a_mix_of_all_kinds_of_requests_breaks_no_rule(stage: Stage) -> None:
    async with StandIn(chunk_bytes=4_096, key=KEY) as standin:
        half = stage.clip().stat().st_size // 2
        environment = {
            "REELWIRE_PLATFORM__BASE_URL": standin.base_url,
            "REELWIRE_PLATFORM__API_KEY": KEY,
            "REELWIRE_BATCH__MAX_SECONDS": "2",
        }
        service = await stage.system.serve("strict", **environment)
        mix = _mix(stage)
        await stage.request_producer.send_all(*mix.values())
        observer = await stage.ended(*mix, seconds=60)
        ends = {name: observer.completion(name) or {} for name in mix}
        given = stage.name("given")
        asset_id = next(end["asset_id"] for end in ends.values() if end.get("asset_id"))
        answered = await stage.answer(
            stage.analyze(given, video={"type": "asset_id", "asset_id": asset_id}, mode="stream")
        )
        await service.stop()
        await stage.system.serve("sessions", **environment, REELWIRE_PLATFORM__SESSION_FROM_BYTES=str(half))
        large = stage.name("session")
        uploaded = await stage.answer(stage.analyze(large, stage.clip(), mode="sync"))
        canceled = await _canceled(stage, standin)

    assert {name: end for name, end in ends.items() if end.get("type") != "completed"} == {}
    assert (answered["type"], uploaded["type"], canceled["type"]) == ("completed", "completed", "canceled")
    assert standin.violations == []
    assert standin.calls["chunk_put"] > 3
    assert {
        "asset_create",
        "upload_create",
        "upload_urls",
        "analyze",
        "task_create",
        "task_cancel",
        "batch_create",
    } <= set(standin.calls)


async def _canceled(stage: Stage, standin: StandIn) -> dict[str, Any]:
    """A task that is canceled while the platform works on it."""
    standin.task_seconds = (0.2, 3_600.0)
    name = stage.name("canceled")
    await stage.request_producer.send(stage.analyze(name, stage.clip(), mode="async"), key=name)
    async with stage.watching() as observer:
        await observer.until(lambda: observer.events(name, "task_created"))
    await stage.request_producer.send({"type": "cancel", "request_id": name}, key=name)
    return (await stage.ended(name)).completion(name) or {}
