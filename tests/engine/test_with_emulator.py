"""The engine with the real client against the emulator: each mode, and faults on the wire."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from service.clock import SystemClock
from service.domain.change import Slot
from service.emulator.http.server import Emulator
from service.emulator.options import EmulatorOptions, Pace
from service.platform.client import PlatformClient
from service.settings import PlatformSettings
from service.telemetry.metrics import Metrics
from tests.engine.bench import Bench, analyze
from tests.support.png import png_base64

pytestmark = pytest.mark.integration

SAMPLE = Path("service/sandbox/footage/sample.mp4").resolve()
VIDEO = {"type": "file", "path": str(SAMPLE)}


@pytest.fixture
async def emulator() -> AsyncIterator[Emulator]:
    async with Emulator(EmulatorOptions(pace=Pace(time_scale=0, fragment_interval_ms=0))) as running:
        yield running


@pytest.fixture
async def wired(emulator: Emulator) -> AsyncIterator[Bench]:
    platform = {"base_url": emulator.base_url, "asset_poll_seconds": 0.01}
    client = PlatformClient(PlatformSettings(**platform), "key", Metrics(), SystemClock())
    async with (
        client,
        Bench(
            platform=client,
            platform_settings=platform,
            sources={"file_roots": [SAMPLE.parent]},
            poll={"initial_seconds": 0.02, "max_seconds": 0.05},
            jobs={"retry_initial_seconds": 0.02, "retry_max_seconds": 0.05},
        ) as bench,
    ):
        yield bench


@pytest.mark.parametrize("mode", ["stream", "sync", "async"])
async def test_a_file_is_uploaded_and_analysed(wired: Bench, emulator: Emulator, mode: str) -> None:
    await wired.take(analyze("r-1", mode=mode, video=VIDEO), analyze("r-2", mode=mode, video=VIDEO))
    first, second = await wired.completed("r-1"), await wired.completed("r-2")
    assert first["text"]
    assert (first["text"], first["asset_id"], first["mode"]) == (second["text"], second["asset_id"], mode)
    assert emulator.stats()["operations"]["asset_create"]["calls"] == 1
    if mode == "stream":
        assert "".join(f["text"] for f in wired.fragments("r-1")) == first["text"]


@pytest.mark.parametrize("idempotency", ["honour", "ignore"])
async def test_a_task_whose_answer_is_cut_off_is_not_created_again(
    wired: Bench, emulator: Emulator, idempotency: Any
) -> None:
    object.__setattr__(emulator.platform.options, "idempotency", idempotency)
    emulator.add_fault(operation="task_create", nth=1, do={"close": "after"})
    await wired.take(analyze(mode="async", video=VIDEO))
    assert (await wired.completed())["type"] == "completed"
    [tasks] = emulator.stats()["tasks"]["by_custom_id"].values()
    assert len(tasks) == 1


async def test_an_upload_whose_answer_is_cut_off_is_not_made_again(wired: Bench, emulator: Emulator) -> None:
    emulator.add_fault(operation="asset_create", nth=1, do={"close": "after"})
    await wired.take(analyze(mode="sync", video=VIDEO))
    assert (await wired.completed())["type"] == "completed"
    assert len(emulator.platform.assets) == 1


async def test_a_stream_that_is_cut_begins_again(wired: Bench, emulator: Emulator) -> None:
    emulator.add_fault(operation="analyze_stream", nth=1, do={"cut_after": 2, "fragments": 6})
    await wired.take(analyze(mode="stream", video=VIDEO))
    completion = await wired.completed()
    assert completion["attempt"] == 2
    told = "".join(f["text"] for f in wired.fragments() if f["attempt"] == 2)
    assert told == completion["text"]


HUGE = {
    "type": "json_schema",
    "json_schema": {"type": "object", "properties": {"count": {"type": "integer", "maximum": 2**80}}},
}


@pytest.mark.parametrize("mode", ["stream", "sync", "async"])
async def test_a_schema_with_an_integer_beyond_64_bits_ends_and_holds_nothing(
    wired: Bench, emulator: Emulator, mode: str
) -> None:
    await wired.take_raw(json.dumps(analyze(mode=mode, video=VIDEO, response_format=HUGE)).encode())
    assert (await wired.completed())["type"] in ("completed", "failed")
    assert [wired.slots.taken(slot) for slot in Slot] == [0, 0]


@pytest.mark.parametrize("code", ["api_not_allowed", "api_allowed_for_paid_plan"])
@pytest.mark.parametrize(
    ("mode", "operation"), [("stream", "analyze_stream"), ("sync", "analyze_sync"), ("async", "task_create")]
)
async def test_a_403_meant_for_one_request_ends_it_and_the_next_one_goes_on(
    wired: Bench, emulator: Emulator, mode: str, operation: str, code: str
) -> None:
    emulator.add_fault(operation=operation, nth=1, do={"status": 403, "code": code})
    await wired.take(analyze("r-1", mode=mode, video=VIDEO))
    error = (await wired.completed("r-1"))["error"]
    assert (error["code"], error["platform"]["code"]) == ("rejected", code)
    assert wired.engine.intake_closed() is None
    await wired.take(analyze("r-2", mode=mode, video=VIDEO))
    assert (await wired.completed("r-2"))["type"] == "completed"


@pytest.mark.parametrize(("mode", "used"), [("auto", "stream"), ("sync", "sync"), ("async", "async")])
async def test_images_are_analysed_in_every_mode(wired: Bench, mode: str, used: str) -> None:
    pictures = [{"name": "light", "base64_string": png_base64()}, {"name": "dark", "base64_string": png_base64(grey=5)}]
    members: dict[str, Any] = {"model_name": "pegasus1.6", "image": pictures, "video": None}
    await wired.take(analyze("r-1", mode=mode, **members))
    completion = await wired.completed("r-1")
    assert (completion["mode"], completion["asset_id"]) == (used, None)
    assert "The image dark is dark" in completion["text"]
    assert completion["usage"]["billed_minutes"] == 0.0


async def test_a_prompt_with_references_is_handed_on(wired: Bench) -> None:
    prompt = {
        "input_text": "Where is <@dog-1>?",
        "media_sources": [{"name": "dog-1", "media_type": "image", "base64_string": png_base64()}],
    }
    await wired.take(analyze("r-1", mode="stream", video=VIDEO, prompt=None, prompt_v2=prompt))
    assert "Where is <@dog-1>?" in (await wired.completed("r-1"))["text"]


async def test_a_cameras_segments_have_their_wall_clock(wired: Bench) -> None:
    near = {"type": "object", "fields": [{"name": "bad", "type": "string", "description": "how"}]}
    fields = [
        {"name": "peak", "type": "timestamp", "format": "hh:mm:ss.fff", "description": "when"},
        {"name": "near", "type": "time_array", "description": "each", "items": near},
    ]
    definitions = [
        {"id": "a", "description": "anything", "fields": fields},
        {"id": "b", "description": "anything", "time_ranges": None},
    ]
    form = {"type": "segment_definitions", "segment_time_format": "hh:mm:ss", "segment_definitions": definitions}
    await wired.take(
        analyze(
            "r-1",
            video=VIDEO,
            prompt=None,
            analysis_mode="time_based_metadata",
            model_name="pegasus1.6",
            max_tokens="unlimited",
            response_format=form,
            recorded_at="2026-03-04T05:00:00Z",
        )
    )
    completion = await wired.completed("r-1")
    entries = completion["timeline"]
    assert {entry["definition"] for entry in entries} == {"a", "a.peak", "a.near", "b"}
    starts = [entry["start_time"] for entry in entries]
    assert starts == sorted(starts)
    assert all(entry["started_at"].startswith("2026-03-04T05:00:") for entry in entries)
    assert sum(entry["definition"] in ("a", "b") for entry in entries) == sum(map(len, completion["data"].values()))
