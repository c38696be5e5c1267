"""The stand-in refuses what the documents do not allow: without this, its silence would prove nothing."""

from __future__ import annotations

import json
from typing import Any

import aiohttp
import pytest

from tests.standin.server import KEY, StandIn

URL = {"type": "url", "url": "https://media.example.com/a.mp4"}
PLAIN = {"model_name": "pegasus1.5", "video": URL, "prompt": "What happens?"}
SYNC = PLAIN | {"stream": False}
DEFINITION = {"id": "a", "description": "Something"}
SEGMENTS = {
    "model_name": "pegasus1.6",
    "video": URL,
    "analysis_mode": "time_based_metadata",
    "response_format": {"type": "segment_definitions", "segment_definitions": [DEFINITION]},
}
IMAGES = {
    "model_name": "pegasus1.6",
    "image": [{"name": "a", "url": "https://media.example.com/a.png"}, {"name": "b", "base64_string": "AAAA"}],
    "prompt": "Compare <@a> with <@b>.",
    "stream": False,
}
UPLOAD = {"filename": "a.mp4", "type": "video", "total_size": 20_000}
UNKNOWN = "0" * 24


def schema(**members: Any) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"type": "object", "properties": members}}


def defined(**members: Any) -> dict[str, Any]:
    return SEGMENTS | {
        "response_format": {"type": "segment_definitions", "segment_definitions": [DEFINITION | members]}
    }


async def call(
    standin: StandIn, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None, data: Any = None
) -> int:
    sent = {"x-api-key": KEY} | ({"content-type": "application/json"} if body is not None else {}) | (headers or {})
    raw = json.dumps(body).encode() if body is not None else data
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, standin.base_url + path, data=raw, headers=sent) as answer,
    ):
        await answer.read()
        return answer.status


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/analyze", SYNC),
        ("/analyze", SYNC | {"stream": True, "temperature": 0, "max_tokens": 512, "start_time": 1, "end_time": 2}),
        ("/analyze", SYNC | {"response_format": schema(at={"type": "timestamp", "format": "seconds"})}),
        ("/analyze", IMAGES),
        ("/analyze/tasks", PLAIN | {"custom_id": "a-1"}),
        ("/analyze/tasks", SEGMENTS | {"max_tokens": "unlimited", "min_segment_duration": 2}),
        ("/assets/multipart-uploads", UPLOAD),
    ],
)
async def test_what_is_documented_is_taken(standin: StandIn, path: str, body: Any) -> None:
    assert await call(standin, "POST", path, body) in {200, 201, 202}
    assert standin.violations == []


WRONG: list[tuple[str, Any, str]] = [
    ("/analyze", SYNC | {"video_id": "x"}, "video_id is no member"),
    ("/analyze", SYNC | {"custom_id": "x"}, "custom_id is no member"),
    ("/analyze", SYNC | {"temperature": None}, "temperature is null"),
    ("/analyze", SYNC | {"temperature": 1.1}, "temperature must be from 0 to 1"),
    ("/analyze", SYNC | {"max_tokens": 511}, "max_tokens must be from 512"),
    ("/analyze", SYNC | {"max_tokens": 512.5}, "max_tokens must be an integer"),
    ("/analyze", SYNC | {"max_tokens": "unlimited"}, "unlimited goes with"),
    ("/analyze", SYNC | {"start_time": 5, "end_time": 5.5}, "at least 1 second"),
    ("/analyze", {k: v for k, v in SYNC.items() if k != "model_name"}, "model_name is missing"),
    ("/analyze", {k: v for k, v in SYNC.items() if k != "stream"}, "stream is missing"),
    ("/analyze", SYNC | {"model_name": "pegasus1.2"}, "model_name must be one of"),
    ("/analyze", SYNC | {"prompt_v2": {"input_text": "x"}}, "exclude each other"),
    ("/analyze", SYNC | {"video": {"url": URL["url"]}}, "video.type must be one of"),
    ("/analyze", SYNC | {"video": URL | {"asset_id": UNKNOWN}}, "asset_id is no member"),
    ("/analyze", SYNC | {"video": {"type": "base64_string", "base64_string": "data:video/mp4;base64,AA"}}, "no base64"),
    ("/analyze", SYNC | {"video": {"type": "asset_id", "asset_id": UNKNOWN}}, "was never created"),
    (
        "/analyze",
        SYNC | {"response_format": schema(a={"type": "string", "maxLength": 3})},
        "maxLength is not supported",
    ),
    ("/analyze", SYNC | {"response_format": schema(a={"type": "array", "minItems": 2})}, "minItems must be 0 or 1"),
    ("/analyze", SYNC | {"response_format": schema(start_time={"type": "boolean"})}, "start_time must be"),
    ("/analyze", SYNC | {"response_format": {"type": "segment_definitions"}}, "json_schema"),
    ("/analyze", IMAGES | {"model_name": "pegasus1.5"}, "image needs pegasus1.6"),
    ("/analyze", IMAGES | {"prompt": "Look at <@a>."}, "every image or to none"),
    ("/analyze", IMAGES | {"image": [{"name": "a", "url": "http://media.example.com/a.png"}]}, "https://"),
    ("/analyze", IMAGES | {"image": [{"name": "a"}]}, "exactly one of url"),
    ("/analyze/tasks", PLAIN | {"stream": False}, "stream is no member"),
    ("/analyze/tasks", PLAIN | {"custom_id": "a.b"}, "custom_id does not match"),
    ("/analyze/tasks", PLAIN | {"custom_id": "x" * 65}, "custom_id must be a string of 1 to 64"),
    ("/analyze/tasks", PLAIN | {"min_segment_duration": 3}, "go with time_based_metadata"),
    ("/analyze/tasks", SEGMENTS | {"prompt": "x"}, "takes no prompt"),
    ("/analyze/tasks", SEGMENTS | {"max_tokens": 2_000}, "at least 2048"),
    ("/analyze/tasks", SEGMENTS | {"min_segment_duration": 9, "max_segment_duration": 8}, "is below"),
    ("/analyze/tasks", defined(time_ranges=[{"start_time": 0, "end_time": 1}]), "at least 2 seconds"),
    ("/analyze/tasks", defined(fields=[{"name": "metadata", "type": "string", "description": "x"}]), "is reserved"),
    ("/analyze/tasks", defined(fields=[{"name": "t", "type": "timestamp", "description": "x"}]), "format is missing"),
    ("/analyze/tasks", defined(fields=[{"name": "t", "type": "array", "description": "x"}]), "items is missing"),
    ("/assets/multipart-uploads", UPLOAD | {"total_size": 0}, "total_size must be from 1"),
    ("/assets/multipart-uploads", UPLOAD | {"type": "document"}, "type must be one of"),
    ("/assets/multipart-uploads", UPLOAD | {"user_metadata": {"a": {}}}, "a type that metadata can't have"),
    ("/assets/multipart-uploads", UPLOAD | {"user_metadata": {"a": 2**53}}, "beyond 2^53-1"),
    ("/assets", {"method": "url", "url": URL["url"]}, "multipart/form-data"),
]


@pytest.mark.parametrize(("path", "body", "reason"), WRONG, ids=[f"{path} {reason}" for path, _, reason in WRONG])
async def test_what_is_not_documented_is_refused_with_its_reason(
    standin: StandIn, path: str, body: Any, reason: str
) -> None:
    assert 400 <= await call(standin, "POST", path, body) < 500
    assert len(standin.violations) == 1
    assert reason in standin.violations[0]


@pytest.mark.parametrize(
    ("method", "path", "options", "reason"),
    [
        ("GET", "/assets?page_limit=51", {}, "out of range"),
        ("GET", "/assets?page=0", {}, "out of range"),
        ("GET", "/analyze/tasks?custom_id=x", {}, "not documented"),
        ("GET", "/analyze/tasks?status=done", {}, "no status"),
        ("GET", f"/assets/{UNKNOWN}", {}, "was never created"),
        ("GET", f"/analyze/tasks/{UNKNOWN}", {}, "was never created"),
        ("GET", "/assets/not-an-id", {}, "no such method and path"),
        ("PUT", f"/assets/{UNKNOWN}", {}, "no such method and path"),
        ("GET", "/assets", {"headers": {"x-api-key": "other"}}, "x-api-key"),
        ("POST", "/analyze", {"body": SYNC, "headers": {"content-type": "text/plain"}}, "application/json"),
        ("POST", "/analyze", {"body": SYNC, "headers": {"Idempotency-Key": "k"}}, "creation of tasks only"),
        ("POST", "/analyze/tasks", {"body": PLAIN, "headers": {"Idempotency-Key": "a b"}}, "visible characters"),
        ("POST", f"/analyze/tasks/{UNKNOWN}/cancel", {"body": {}}, "no body"),
        ("POST", "/analyze", {"data": b"{", "headers": {"content-type": "application/json"}}, "no JSON"),
        ("POST", "/analyze", {"data": b'{"a":1,"a":2}', "headers": {"content-type": "application/json"}}, "twice"),
    ],
)
async def test_wrong_requests_are_refused(
    standin: StandIn, method: str, path: str, options: dict[str, Any], reason: str
) -> None:
    assert 400 <= await call(standin, method, path, **options) < 500
    assert len(standin.violations) == 1
    assert reason in standin.violations[0]


def _part(name: str, value: str, more: str = "") -> str:
    return f'--B\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n{value}\r\n'


FILE = _part("file", "bytes", '; filename="a.mp4"\r\nContent-Type: video/mp4')
METHOD = _part("method", "direct")


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        (FILE + METHOD, "comes after the file"),
        (METHOD, "a file goes with direct"),
        (METHOD + _part("language", "en") + FILE, "language is not documented"),
        (METHOD + METHOD + FILE, "there twice"),
        (_part("method", "link") + FILE, "method must be"),
        (METHOD + _part("url", "https://a/b") + FILE, "a url with url"),
        (METHOD + _part("enable_hls", "no") + FILE, "enable_hls must be"),
        (METHOD + _part("filename", "x" * 256) + FILE, "1 to 255"),
        (METHOD + _part("user_metadata", "[]") + FILE, "must be an object"),
        (METHOD + _part("file", "bytes"), "filename and a Content-Type"),
    ],
)
async def test_wrong_forms_are_refused(standin: StandIn, parts: str, reason: str) -> None:
    headers = {"content-type": "multipart/form-data; boundary=B"}
    assert await call(standin, "POST", "/assets", headers=headers, data=(parts + "--B--\r\n").encode()) == 400
    assert len(standin.violations) == 1
    assert reason in standin.violations[0]


async def test_an_idempotency_key_answers_again_and_refuses_another_body(standin: StandIn) -> None:
    headers = {"Idempotency-Key": "k-1"}
    statuses = [
        await call(standin, "POST", "/analyze/tasks", PLAIN | members, headers)
        for members in ({}, {}, {"temperature": 0.5})
    ]

    assert statuses == [202, 202, 409]
    assert len(standin.state.tasks) == 1


async def test_the_storage_takes_each_url_once_with_its_headers_and_no_key(standin: StandIn) -> None:
    headers = {"x-api-key": KEY}
    async with aiohttp.ClientSession() as session:
        async with session.post(standin.base_url + "/assets/multipart-uploads", json=UPLOAD, headers=headers) as answer:
            made = await answer.json()
        first, second, third = (part["url"] for part in made["upload_urls"])
        right, chunk = made["upload_headers"], b"x" * made["chunk_size"]
        sent = [(first, right, chunk), (first, right, chunk), (second, {}, chunk), (third, right | headers, b"x")]
        statuses = []
        for url, wanted, data in sent:
            async with session.put(url, headers=wanted, data=data) as answer:
                statuses.append(answer.status)
        report = {"completed_chunks": [{"chunk_index": 3, "proof": "e", "proof_type": "etag", "chunk_size": 8192}]}
        path = f"/assets/multipart-uploads/{made['upload_id']}"
        statuses.append(await call(standin, "POST", path, report))

    assert statuses == [200, 403, 403, 400, 400]
    assert len(standin.violations) == 4
