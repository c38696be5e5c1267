"""The examples of events show what the service writes: the same headers, members and words as in a real run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator
from orjson import dumps, loads

from contracts.asyncapi import document
from contracts.examples import headers_of, load
from contracts.requests import RejectedRecord, parse_request
from tests.harness.evidence import Evidence, Record
from tests.harness.stage import Stage

_NUMBERS = re.compile(r"[0-9a-f]{24}|\d+")
NEEDS_MORE_THAN_ONE_PROCESS = {"waiting", "handed_over", "interrupted"}
"""Events that are not provoked here: a wait of five seconds, a move, a kill. Their headers are made alike."""


def _shape(headers: dict[str, str], request_id: str, topic: str) -> dict[str, str]:
    return {
        name: _NUMBERS.sub("N", value.replace(topic, "TOPIC").replace(request_id, "ID"))
        for name, value in headers.items()
    }


def _headers(record: Record) -> dict[str, str]:
    return {name: (value or b"").decode() for name, value in record.headers}


@pytest.mark.unit
def test_the_headers_of_every_example_are_what_the_document_says() -> None:
    whole = document()
    for name, message in whole["components"]["messages"].items():
        if name in ("analyze", "cancel"):
            continue
        schema = {**message["headers"], "components": whole["components"]}
        for example in message["examples"]:
            Draft7Validator(schema).validate(example["headers"])


@pytest.mark.unit
def test_the_example_of_a_dead_letter_has_the_words_of_its_refusal() -> None:
    example = load("records")["dead_letter"]
    with pytest.raises(RejectedRecord) as refused:
        parse_request(dumps(example["value"]), (), max_bytes=1 << 20)

    assert refused.value.message == example["headers"]["dlq.error.message"]
    assert refused.value.code == example["headers"]["dlq.error.code"]


async def _provoke(stage: Stage, outside: Path) -> tuple[dict[str, str], Evidence]:
    """Requests of every kind; returns the request ids by what they show, and what was published."""
    ids = {what: stage.name(what) for what in ("stream", "task", "refused", "limited", "outside", "cancel", "unknown")}
    clip = stage.clip()
    common: dict[str, Any] = {"metadata": {"site": "dock 4"}, "tenant": "harbour"}
    slow = "[[emulate: fragments=600 interval_ms=100]]"
    send = stage.request_producer.send
    await send(stage.analyze(ids["stream"], clip, mode="stream", **common), key=ids["stream"])
    await send(stage.analyze(ids["task"], clip, mode="async", **common))
    refused = stage.analyze(ids["refused"], clip, mode="sync", **common)
    await send(refused | {"prompt": "[[emulate: fail=400 code=parameter_invalid message=video_is_too_short]]"})
    limited = stage.analyze(ids["limited"], clip, mode="stream", **common)
    await send(limited | {"prompt": "[[emulate: fail=429 retry_after=1 times=1]]"})
    await send(stage.analyze(ids["outside"], outside, **common))
    cancel = stage.analyze(ids["cancel"], clip, mode="stream", **common)
    await send(cancel | {"prompt": slow}, key=ids["cancel"])
    async with stage.watching() as seen:
        await seen.until(lambda: seen.events(ids["cancel"], "stream_started"))
        await send({"type": "cancel", "request_id": ids["cancel"]}, key=ids["cancel"])
        await send({"type": "cancel", "request_id": ids["unknown"]}, key=ids["unknown"])
        await seen.until_ended([name for what, name in ids.items() if what != "unknown"])
        await send(stage.analyze(ids["stream"], clip, mode="stream", **common), key=ids["stream"])
        await seen.until(lambda: seen.events(ids["stream"], "duplicate"))
        await seen.until(lambda: seen.events(ids["unknown"], "cancel_ignored"))
    return ids, seen


@pytest.mark.acceptance
async def test_the_examples_show_what_the_service_writes(stage: Stage, tmp_path: Path) -> None:
    ids, seen = await _provoke(stage, tmp_path / "outside.mp4")
    topic = stage.system.settings().topics.requests
    published: dict[str, list[Record]] = {}
    for record in seen.records:
        if record.request_id in ids.values() and record.header("ce_type"):
            published.setdefault(record.type, []).append(record)

    examples = load("events")
    assert {example["type"] for example in examples.values()} - set(published) == NEEDS_MORE_THAN_ONE_PROCESS
    for name, example in examples.items():
        wanted = _shape(headers_of(example), example["request_id"], "video.analysis.requests.v1")
        for record in published.get(example["type"], ()):
            assert list(record.body) == list(example), name
            found = _shape(_headers(record), record.request_id, topic)
            if example["type"] == "task_status":
                found["ce_id"] = re.sub(r"task_status-N-\w+?(-N)?$", "task_status-N-processing-N", found["ce_id"])
            assert found == wanted, name

    def words(what: str, kind: str) -> dict[str, Any]:
        (body,) = [record.body for record in published[kind] if record.request_id == ids[what]]
        return body

    assert words("cancel", "canceled")["reason"] == examples["canceled"]["reason"]
    assert words("outside", "failed")["error"] == examples["failed_source"]["error"]
    refused = dumps(words("refused", "failed")["error"]).replace(b"video_is_too_short", b"video is too short")
    assert loads(refused) == examples["failed_rejected"]["error"]
    assert words("limited", "retrying")["reason"] == examples["retrying"]["reason"]
    assert words("unknown", "cancel_ignored")["reason"] == "unknown"
