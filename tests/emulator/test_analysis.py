from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from service.emulator.http.server import Emulator
from service.emulator.options import EmulatorOptions
from service.sandbox.footage import make_video, sample_video
from tests.emulator.conftest import FAST, Client


def _text(lines: list[Any]) -> str:
    return "".join(event["text"] for event in lines if event["event_type"] == "text_generation")


async def test_the_same_bytes_and_prompt_give_the_same_text_and_others_another(
    client: Client, clip: Path, tmp_path: Path
) -> None:
    first, again = await client.ready_asset(clip), await client.ready_asset(clip)
    other = await client.ready_asset(make_video(tmp_path / "other.mp4", seed=2))
    texts = [(await client.analyze(item, stream=False)).json for item in (first, again, other)]
    reworded = (await client.analyze(first, prompt="Something else", stream=False)).json

    assert texts[0] == texts[1]
    assert len({texts[0]["data"], texts[2]["data"], reworded["data"]}) == 3


async def test_the_text_names_the_cuts_of_the_video(client: Client) -> None:
    asset_id = await client.ready_asset(sample_video())
    text = (await client.analyze(asset_id, stream=False)).json["data"]

    assert "4 scenes, with cuts at 00:00:06, 00:00:12, 00:00:18" in text


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


async def test_max_tokens_cuts_the_text_with_a_warning(client: Client, asset: str) -> None:
    client.emulator.set_pace(characters=5000)
    ended = (await client.analyze(asset, max_tokens=512)).lines[-1]
    answer = (await client.analyze(asset, max_tokens=512, stream=False)).json

    assert (ended["finish_reason"], ended["metadata"]["usage"]["output_tokens"]) == ("length", 512)
    assert ended["error"]["message"]
    assert (answer["finish_reason"], len(answer["data"])) == ("length", 2048)


async def test_a_window_narrows_the_text(client: Client) -> None:
    asset_id = await client.ready_asset(sample_video())
    text = (await client.analyze(asset_id, stream=False, start_time=7, end_time=11.5)).json["data"]

    assert "It is one shot without a cut" in text


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
        ({"prompt_v2": {"input_text": "x"}}, 400, "parameter_invalid"),
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


async def test_a_schema_is_filled_validly_with_the_first_required_property_in_front(client: Client, asset: str) -> None:
    import jsonschema

    schema = {
        "type": "object",
        "properties": {
            "note": {"type": "string"},
            "count": {"type": "integer", "minimum": 3, "exclusiveMaximum": 5},
            "plate": {"type": "string", "pattern": "^[A-Z]{2}-\\d{3,4}$"},
            "kind": {"enum": ["truck", "van"]},
            "id": {"type": "string", "format": "uuid"},
            "finds": {
                "type": "array",
                "minItems": 1,
                "items": {
                    "type": "object",
                    "properties": {
                        "start_time": {"type": "number"},
                        "end_time": {"type": "string"},
                        "who": {"$ref": "#/$defs/who"},
                    },
                    "required": ["start_time", "who"],
                },
            },
        },
        "$defs": {"who": {"anyOf": [{"type": "null"}, {"type": "boolean"}]}},
        "required": ["count", "plate", "finds"],
    }
    wanted = {"type": "json_schema", "json_schema": schema}
    for number in range(12):
        text = (await client.analyze(asset, prompt=f"try {number}", stream=False, response_format=wanted)).json["data"]
        found = json.loads(text)
        jsonschema.validate(found, schema)
        assert list(found) == ["count", "note", "plate", "kind", "id", "finds"]


async def test_strict_parameters_refuse_what_is_unknown(session: aiohttp.ClientSession, clip: Path) -> None:
    async with Emulator(EmulatorOptions(pace=FAST, strict_parameters=True)) as emulator:
        client = Client(session, emulator)
        answer = await client.analyze(await client.ready_asset(clip), custom_id="x")

    assert (answer.status, answer.json["code"]) == (400, "parameter_unknown")


async def test_a_minute_s_quota_ends_in_429(session: aiohttp.ClientSession) -> None:
    async with Emulator(EmulatorOptions(pace=FAST, analyze_rpm=0)) as emulator:
        answer = await Client(session, emulator).analyze("0" * 24)

    assert (answer.status, answer.json["code"]) == (429, "too_many_requests")
    assert int(answer.headers["Retry-After"]) >= 1
    assert answer.headers["X-Ratelimit-Remaining"] == "0"


def _nested(*steps: str) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "timestamp", "format": "seconds"}
    for step in reversed(steps):
        schema = (
            {"type": "array", "items": schema} if step == "items" else {"type": "object", "properties": {step: schema}}
        )
    return schema


@pytest.mark.parametrize(
    ("steps", "status"),
    [
        (("at",), 200),
        (("finds", "items", "at"), 200),
        (("items", "at"), 200),
        (("a", "at"), 400),
        (("at", "items"), 400),
    ],
)
async def test_timestamps_stand_only_where_the_platform_takes_them(
    client: Client, asset: str, steps: tuple[str, ...], status: int
) -> None:
    wanted = {"type": "json_schema", "json_schema": _nested(*steps)}

    assert (await client.analyze(asset, response_format=wanted)).status == status
