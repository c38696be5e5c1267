"""`POST /analyze`."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from service.emulator.http.server import Emulator
from service.emulator.limits.limits import Limits
from service.emulator.options import EmulatorOptions
from service.sandbox.footage import make_video
from tests.emulator.conftest import FAST, Client


def _text(lines: list[Any]) -> str:
    return "".join(event["text"] for event in lines if event["event_type"] == "text_generation")


async def test_a_stream_has_as_many_fragments_as_asked_for(client: Client, asset: str) -> None:
    answer = await client.analyze(asset, prompt="Go on. [[emulate: fragments=2000 interval_ms=0]]")

    assert answer.headers["Content-Type"] == "application/x-ndjson"
    assert sum(event["event_type"] == "text_generation" for event in answer.lines) == 2000
    assert answer.lines[-1]["finish_reason"] == "stop"
    assert all(event["text"] for event in answer.lines[1:-1])


async def test_streams_are_escaped_ascii(client: Client, asset: str) -> None:
    answer = await client.analyze(asset, prompt="Größe\u2028?")

    assert answer.raw.isascii()
    assert "Größe" in _text(answer.lines)


async def test_a_url_and_base64_are_analysed_without_an_asset(client: Client, clip: Path, media: str) -> None:
    inline = base64.b64encode(clip.read_bytes()).decode()
    by_url = await client.call("POST", "/analyze", json=_asking({"type": "url", "url": f"{media}/clip.mp4"}))
    by_text = await client.call("POST", "/analyze", json=_asking({"type": "base64_string", "base64_string": inline}))

    assert by_url.status == by_text.status == 200
    assert _text(by_url.lines) == _text(by_text.lines) != ""


def _asking(video: Any, **members: Any) -> Any:
    return {"video": video, "prompt": "What happens?"} | members


@pytest.mark.parametrize(
    ("members", "status", "code"),
    [
        ({"prompt": None}, 400, "parameter_not_provided"),
        ({"video": None}, 400, "parameter_not_provided"),
        ({"video": {"type": "carrier"}}, 400, "parameter_invalid"),
        ({"video": {"type": "url", "url": "ftp://host/a.mp4"}}, 400, "parameter_invalid"),
        ({"video": {"type": "asset_id", "asset_id": "0" * 24}}, 404, "resource_not_exist"),
        ({"video": {"type": "base64_string", "base64_string": "!!!"}}, 400, "parameter_invalid"),
        ({"video": {"type": "base64_string", "base64_string": "AAAA"}}, 400, "video_file_broken"),
        ({"model_name": "pegasus1.2"}, 400, "parameter_invalid"),
        ({"temperature": 2}, 400, "parameter_invalid"),
        ({"max_tokens": 511}, 400, "parameter_invalid"),
        ({"start_time": 3, "end_time": 2}, 400, "parameter_invalid"),
        ({"start_time": 0, "end_time": 90}, 400, "parameter_invalid"),
        ({"start_time": 1, "end_time": 1.5}, 400, "parameter_invalid"),
        ({"image": [{"name": "a", "url": "https://x/y.png"}]}, 400, "parameter_invalid"),
        ({"prompt_v2": {"input_text": "x"}, "prompt": "y"}, 400, "parameter_invalid"),
        ({"response_format": {"type": "segment_definitions"}}, 400, "parameter_invalid"),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"type": "string", "minLength": 2}}},
            422,
            "parameter_invalid",
        ),
        ({"response_format": {"type": "json_schema", "json_schema": {"type": "timestamp"}}}, 400, "parameter_invalid"),
        ({"prompt": "[[emulate: nonsense=1]]"}, 400, "parameter_invalid"),
    ],
)
async def test_a_wrong_member_is_refused(
    client: Client, asset: str, members: dict[str, Any], status: int, code: str
) -> None:
    answer = await client.analyze(asset, **({"prompt": "x"} | members))

    assert (answer.status, answer.json["code"]) == (status, code)


async def test_a_video_below_a_second_is_refused(client: Client, tmp_path: Path) -> None:
    video = make_video(tmp_path / "short.mp4", seconds=0.5, scenes=1, sound=False)
    answer = await client.analyze(await client.ready_asset(video))

    assert (answer.status, answer.json["code"]) == (400, "video_duration_too_short")


async def test_strict_parameters_refuse_what_is_unknown(session: aiohttp.ClientSession, clip: Path) -> None:
    async with Emulator(EmulatorOptions(pace=FAST, strict_parameters=True)) as emulator:
        client = Client(session, emulator)
        answer = await client.analyze(await client.ready_asset(clip), custom_id="x")

    assert (answer.status, answer.json["code"]) == (400, "parameter_unknown")


async def test_a_minute_s_quota_ends_in_429(session: aiohttp.ClientSession) -> None:
    async with Emulator(EmulatorOptions(pace=FAST, limits=Limits(analyze_rpm=0))) as emulator:
        answer = await Client(session, emulator).analyze("0" * 24)

    assert (answer.status, answer.json["code"]) == (429, "too_many_requests")
    assert int(answer.headers["Retry-After"]) >= 1
    assert answer.headers["X-Ratelimit-Remaining"] == "0"
