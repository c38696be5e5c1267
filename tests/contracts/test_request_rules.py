"""What an analysis may ask for: each rule names the member and refuses before anything is paid for."""

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from contracts.codes import DeadLetterCode
from contracts.requests import AnalyzeRequest, CancelRequest, RejectedRecord, parse_request
from contracts.schemas import all_schemas

URL = {"type": "url", "url": "https://media.example.com/a.mp4"}
ASSET = {"type": "asset_id", "asset_id": "66f0a1b2c3d4e5f601234567"}
BASE64 = {"type": "base64_string", "base64_string": "AAAAGGZ0eXBtcDQy"}
FILE = {"type": "file", "path": "/footage/a.mp4"}
OBJECT = {"type": "object", "uri": "s3://archive/a.mp4"}
GONE: Any = object()

pytestmark = pytest.mark.unit


def request(**members: Any) -> dict[str, Any]:
    """A plain valid request with `members` put in; `GONE` takes one out."""
    whole = {"request_id": "r-1", "video": URL, "prompt": "What happens?"} | members
    return {name: value for name, value in whole.items() if value is not GONE}


def images(**members: Any) -> dict[str, Any]:
    base = {"video": GONE, "model_name": "pegasus1.6", "prompt": "Compare.", "image": [image("a"), image("b")]}
    return request(**(base | members))


def image(name: str, **members: Any) -> dict[str, Any]:
    return {"name": name, "url": "https://media.example.com/a.png"} | members


def shape(schema: Any) -> dict[str, Any]:
    return request(response_format={"type": "json_schema", "json_schema": schema})


def parse(data: Any) -> AnalyzeRequest | CancelRequest:
    return parse_request(json.dumps(data).encode(), (), max_bytes=1 << 20).request


VALID = {
    "least": request(),
    "null counts as absent": request(mode=None, image=None, temperature=None, type=None, metadata=None),
    "unknown members are ignored": request(colour="red", video=URL | {"colour": "red"}),
    "url without a path": request(video={"type": "url", "url": "http://127.0.0.1:8000"}),
    "asset": request(video=ASSET, mode="stream"),
    "base64": request(video=BASE64, upload="inline", mode="sync"),
    "base64 without padding": request(video=BASE64 | {"base64_string": "AAAAGG"}),
    "file": request(video=FILE),
    "object": request(video=OBJECT),
    "a key on any source": request(video=FILE | {"key": "cam7/918273"}),
    "integers where numbers are meant": request(temperature=1, start_time=0, end_time=1),
    "bounds of max_tokens": request(max_tokens=512),
    "upper bound of max_tokens": request(max_tokens=98_304),
    "only a start": request(start_time=5000),
    "only an end": request(end_time=30),
    "two hours of window": request(start_time=10, end_time=7210, mode="async"),
    "one hour of window in a stream": request(start_time=10, end_time=3610, mode="stream"),
    "deadline with offset": request(deadline="2026-12-01T06:00:00.5+01:00"),
    "a deadline in the past is a circumstance": request(deadline="2001-01-01T00:00:00Z"),
    "metadata of exactly 16 KiB": request(metadata={"a": "ü" * 8188}),
    "on_interrupt": request(on_interrupt="async"),
    "images": images(),
    "images all referred to": images(prompt="Compare <@a> with <@b>."),
    "images in a task": images(mode="async"),
    "prompt_v2": request(
        prompt=GONE, prompt_v2={"input_text": "<@tiger-1>?", "media_sources": [image("tiger-1", media_type="image")]}
    ),
    "prompt_v2 without images": request(prompt=GONE, prompt_v2={"input_text": "What?"}),
    "cancel": {"type": "cancel", "request_id": "r-1", "reason": "ignored"},
}

INVALID = {
    "no id": ("request_id", request(request_id=GONE)),
    "null id": ("request_id", request(request_id=None)),
    "number as id": ("request_id", request(request_id=7)),
    "empty id": ("request_id", request(request_id="")),
    "id of 129 characters": ("request_id", request(request_id="a" * 129)),
    "id that begins with a dot": ("request_id", request(request_id=".a")),
    "tenant with a slash": ("tenant", request(tenant="a/b")),
    "empty tenant": ("tenant", request(tenant="")),
    "tenant of 65 characters": ("tenant", request(tenant="a" * 65)),
    "id with a line end": ("request_id", request(request_id="a\n")),
    "id with a letter of another script": ("request_id", request(request_id="kön")),
    "type that is no string": ("type", request(type=1)),
    "neither video nor image": ("video", request(video=GONE)),
    "both video and image": ("image", images(video=URL)),
    "video as text": ("video", request(video="https://media.example.com/a.mp4")),
    "video without type": ("video", request(video={"url": "https://media.example.com/a.mp4"})),
    "video of unknown type": ("video", request(video={"type": "video_id", "video_id": "1"})),
    "url missing": ("video.url", request(video={"type": "url"})),
    "url of another scheme": ("video.url", request(video={"type": "url", "url": "ftp://a/b"})),
    "url with a space": ("video.url", request(video={"type": "url", "url": "https://a/b c"})),
    "url with a control character": ("video.url", request(video={"type": "url", "url": "https://a/\x01"})),
    "url without a host": ("video.url", request(video={"type": "url", "url": "https:///a.mp4"})),
    "asset id that is a path": ("video.asset_id", request(video=ASSET | {"asset_id": "../tasks"})),
    "base64 of another alphabet": ("video.base64_string", request(video=BASE64 | {"base64_string": "AA-_"})),
    "data URL that is not base64": ("video.base64_string", request(video=BASE64 | {"base64_string": "data:,AA"})),
    "data URL without a comma": ("video.base64_string", request(video=BASE64 | {"base64_string": "data:;base64AA"})),
    "data URL of nothing": ("video.base64_string", request(video=BASE64 | {"base64_string": "data:;base64,"})),
    "base64 with line ends": ("video.base64_string", request(video=BASE64 | {"base64_string": "AAAA\nAAAA"})),
    "base64 of an impossible length": ("video.base64_string", request(video=BASE64 | {"base64_string": "AAAAA"})),
    "empty base64": ("video.base64_string", request(video=BASE64 | {"base64_string": ""})),
    "empty path": ("video.path", request(video=FILE | {"path": ""})),
    "path with NUL": ("video.path", request(video=FILE | {"path": "/a\0b"})),
    "store of another kind": ("video.uri", request(video=OBJECT | {"uri": "https://archive/a.mp4"})),
    "bucket without an object": ("video.uri", request(video=OBJECT | {"uri": "s3://archive/"})),
    "empty key": ("video.key", request(video=URL | {"key": ""})),
    "number as key": ("video.key", request(video=URL | {"key": 7})),
    "unknown mode": ("mode", request(mode="batch")),
    "mode in capitals": ("mode", request(mode="STREAM")),
    "unknown upload": ("upload", request(upload="direct")),
    "inline file": ("upload", request(video=FILE, upload="inline")),
    "inline object": ("upload", request(video=OBJECT, upload="inline")),
    "inline asset": ("upload", request(video=ASSET, upload="inline")),
    "no prompt": ("prompt", request(prompt=GONE)),
    "empty prompt": ("prompt", request(prompt="")),
    "both prompts": ("prompt_v2", request(prompt_v2={"input_text": "What?"})),
    "prompt_v2 without text": ("prompt_v2.input_text", request(prompt=GONE, prompt_v2={})),
    "five references": (
        "prompt_v2.media_sources",
        request(
            prompt=GONE,
            prompt_v2={"input_text": "x", "media_sources": [image(n, media_type="image") for n in "abcde"]},
        ),
    ),
    "reference without media_type": (
        "prompt_v2.media_sources[0].media_type",
        request(prompt=GONE, prompt_v2={"input_text": "x", "media_sources": [image("a")]}),
    ),
    "references of one name": (
        "prompt_v2.media_sources",
        request(prompt=GONE, prompt_v2={"input_text": "x", "media_sources": [image("a", media_type="image")] * 2}),
    ),
    "retired model": ("model_name", request(model_name="pegasus1.2")),
    "temperature above one": ("temperature", request(temperature=1.01)),
    "temperature below zero": ("temperature", request(temperature=-0.01)),
    "temperature as text": ("temperature", request(temperature="0.2")),
    "temperature as boolean": ("temperature", request(temperature=True)),
    "max_tokens below": ("max_tokens", request(max_tokens=511)),
    "max_tokens above": ("max_tokens", request(max_tokens=98_305)),
    "max_tokens as text": ("max_tokens", request(max_tokens="512")),
    "max_tokens as fraction": ("max_tokens", request(max_tokens=512.5)),
    "unlimited for text": ("max_tokens", request(max_tokens="unlimited", model_name="pegasus1.6")),
    "negative start": ("start_time", request(start_time=-1)),
    "end before start": ("end_time", request(start_time=20, end_time=10)),
    "window below a second": ("end_time", request(start_time=20, end_time=20.9)),
    "end below a second": ("end_time", request(end_time=0.5)),
    "window over two hours": ("end_time", request(start_time=0, end_time=7201)),
    "window over an hour in a stream": ("mode", request(start_time=0, end_time=3601, mode="stream")),
    "window over an hour in sync": ("mode", request(start_time=0, end_time=3601, mode="sync")),
    "unknown on_interrupt": ("on_interrupt", request(on_interrupt="resume")),
    "deadline without offset": ("deadline", request(deadline="2026-12-01T06:00:00")),
    "deadline as number": ("deadline", request(deadline=1_795_418_117)),
    "deadline that is no day": ("deadline", request(deadline="2026-02-30T06:00:00Z")),
    "metadata as array": ("metadata", request(metadata=[1])),
    "metadata of one byte too many": ("metadata", request(metadata={"a": "ü" * 8188 + "b"})),
    "format of unknown type": ("response_format", request(response_format={"type": "text"})),
    "format without a schema": ("response_format.json_schema", request(response_format={"type": "json_schema"})),
    "schema that is no object": ("response_format.json_schema", shape([])),
    "schema keyword that is refused": ("response_format.json_schema", shape({"additionalProperties": False})),
    "segment duration for text": ("min_segment_duration", request(min_segment_duration=2)),
    "images with the old model": ("model_name", images(model_name=GONE)),
    "images without prompt": ("prompt", images(prompt=GONE)),
    "images with prompt_v2": ("prompt", images(prompt=GONE, prompt_v2={"input_text": "x"})),
    "no images": ("image", images(image=[])),
    "21 images": ("image", images(image=[image(f"i{number}") for number in range(21)])),
    "images of one name": ("image", images(image=[image("a"), image("a")])),
    "image name with hyphen": ("image[0].name", images(image=[image("a-b")])),
    "image by http": ("image[1].url", images(image=[image("a"), image("b", url="http://media.example.com/b.png")])),
    "image of two sources": ("image[0]", images(image=[image("a", asset_id="66f0")])),
    "image of no source": ("image[0]", images(image=[{"name": "a"}])),
    "some of the images referred to": ("prompt", images(prompt="What is <@a>?")),
    "cancel without id": ("request_id", {"type": "cancel"}),
}


@pytest.mark.parametrize("name", VALID)
def test_it_is_taken_by_the_models_and_by_the_schema(name: str) -> None:
    parsed = parse(VALID[name])

    assert parsed.request_id == "r-1"
    Draft202012Validator(all_schemas()[parsed.type]).validate(VALID[name])


@pytest.mark.parametrize("name", INVALID)
def test_it_is_refused_and_the_member_named(name: str) -> None:
    member, data = INVALID[name]

    with pytest.raises(RejectedRecord) as refused:
        parse(data)

    assert refused.value.code is DeadLetterCode.INVALID
    assert refused.value.message.startswith(f"{member}: ")


def test_an_unknown_type_has_a_code_of_its_own() -> None:
    with pytest.raises(RejectedRecord, match="type: must be analyze or cancel") as refused:
        parse(request(type="transcribe"))

    assert (refused.value.code, refused.value.request_id) == (DeadLetterCode.UNKNOWN_TYPE, "r-1")


def test_a_refusal_lists_the_first_few_members_and_repeats_no_value() -> None:
    secret = "s3cr3t" * 2000

    with pytest.raises(RejectedRecord) as refused:
        parse(request(mode=secret, upload=secret, temperature=secret, max_tokens=secret, video=URL | {"key": [secret]}))

    assert refused.value.message.count("; ") == 3
    assert refused.value.message.endswith("and 2 more")
    assert "s3cr3t" not in str(refused.value)
    assert len(refused.value.message) <= 500


def test_what_is_given_prevails_and_the_rest_has_the_defaults_of_the_contract() -> None:
    parsed = parse(request())

    assert isinstance(parsed, AnalyzeRequest)
    assert (parsed.mode, parsed.upload, parsed.on_interrupt) == ("auto", "auto", "restart")
    assert (parsed.model_name, parsed.analysis_mode) == ("pegasus1.5", "general")
    assert parsed.deadline_at is None


def test_a_representation_for_logs_shows_neither_url_nor_content() -> None:
    shown = repr(parse(request(video=URL | {"url": "https://a/b?signature=s3cr3t"}))) + repr(
        parse(request(video=BASE64))
    )

    assert "s3cr3t" not in shown
    assert "AAAAGGZ0" not in shown
