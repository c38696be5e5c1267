"""What crosses the borders, through a real broker into the real command: ids, envelopes, traces, costs, connections."""

from __future__ import annotations

import asyncio
import base64
import contextlib
from typing import Any

import pytest

from tests.contracts.hostile_records import HOSTILE
from tests.harness.evidence import Record
from tests.harness.observer import Observer
from tests.harness.stage import Stage

pytestmark = pytest.mark.acceptance

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = f"00-{TRACE}-b7ad6b7169203331-01"


def _outputs(observer: Observer, name: str) -> list[Record]:
    return [record for record in observer.records if record.request_id == name and record.header("ce_id")]


@pytest.mark.parametrize("mode", ["stream", "async"])
async def test_an_id_of_a_recorder_is_an_id_and_its_tenant_is_echoed(stage: Stage, mode: str) -> None:
    name = f"1736006221.203278-{stage.name('ezta:1o')}"
    await stage.request_producer.send(stage.analyze(name, stage.clip(), mode=mode, tenant="harbour:north"))
    observer = await stage.ended(name)

    assert (observer.completion(name) or {})["type"] == "completed"
    for record in _outputs(observer, name):
        if record.role == "fragments":
            assert "tenant" not in record.body
        else:
            assert record.body["tenant"] == "harbour:north"


async def test_a_request_without_a_tenant_has_null(stage: Stage) -> None:
    name = stage.name()
    await stage.request_producer.send(stage.analyze(name, stage.clip(), mode="sync"))

    assert {record.body["tenant"] for record in _outputs(await stage.ended(name), name)} == {None}


async def test_a_video_in_a_data_url_is_analysed(stage: Stage) -> None:
    name = stage.name()
    content = base64.b64encode(stage.clip().read_bytes()).decode()
    video = {"type": "base64_string", "base64_string": f"data:video/mp4;base64,{content}"}

    end = await stage.answer(stage.analyze(name, video=video, mode="async"))

    assert end["type"] == "completed"


@pytest.mark.parametrize(
    ("headers", "structured", "parent", "state"),
    [
        ([("traceparent", PARENT), ("tracestate", "a=1,BAD=2"), ("tracestate", "b=2")], False, PARENT, "a=1,b=2"),
        ([("ce-specversion", "1.0"), ("ce-traceparent", PARENT), ("ce-tracestate", "a=1")], False, PARENT, "a=1"),
        ([("traceparent", f"{PARENT}-more"), ("tracestate", "a=1")], False, None, None),
        ([("traceparent", PARENT.upper())], False, None, None),
        ([("traceparent", f"cc-{TRACE}-b7ad6b7169203331-01-later")], False, PARENT, None),
        ([("content-type", "application/cloudevents")], True, PARENT, "c=3"),
        ([("Content-Type", "Application/CloudEvents; charset=utf-8")], True, PARENT, "c=3"),
    ],
)
async def test_envelopes_and_traces_are_read_as_their_rules_say(
    stage: Stage, headers: list[tuple[str, str]], structured: bool, parent: str | None, state: str | None
) -> None:
    name = stage.name()
    body: dict[str, Any] = stage.analyze(name, stage.clip(), mode="sync")
    if structured:
        attributes = {"specversion": "1.0", "id": "1", "source": "/s", "type": "t"}
        body = {
            **attributes,
            "datacontenttype": "application/json",
            "traceparent": PARENT,
            "tracestate": "c=3",
            "data": body,
        }
    await stage.request_producer.send(body, headers=[(key, value.encode()) for key, value in headers])

    outputs = _outputs(await stage.ended(name), name)

    assert {record.header("traceparent") for record in outputs} == {parent or ""}
    assert {record.header("tracestate") for record in outputs} == {state or ""}


async def test_expensive_records_are_dead_letters_and_work_goes_on(stage: Stage) -> None:
    names = ["segment fields that are empty, 400 KB", "metadata of objects", "commas", "escaped quotes without an end"]
    places = [
        await stage.request_producer.send(HOSTILE[name].value[: 1 << 20], key=b"k", partition=0) for name in names
    ]
    places.append(await stage.request_producer.send(stage.analyze("k", stage.clip()), key=b"k" * 5_000, partition=0))
    name = stage.name()
    await stage.request_producer.send(stage.analyze(name, stage.clip(), mode="sync"), partition=0)
    async with stage.watching() as observer:
        await observer.until_ended([name])
        await observer.until(lambda: all(observer.dead_letters[place] for place in places))

    codes = [observer.dead_letters[place][0].header("dlq.error.code") for place in places]
    assert codes == ["too_large"] * 5


async def test_health_answers_while_a_thousand_connections_are_half_open(stage: Stage) -> None:
    address = stage.system.url().removeprefix("http://").rsplit(":", 1)
    writers: list[asyncio.StreamWriter] = []
    try:
        for _ in range(1_000):
            _, writer = await asyncio.open_connection(address[0], int(address[1]))
            writer.write(b"GET /health/live HTTP/1.1\r\nX-Slow: ")
            writers.append(writer)
        for path in ["health/live", "health/ready", "metrics"] * 5:
            async with asyncio.timeout(10):
                status, _ = await stage.system.get(path)
            assert status == 200
    finally:
        for writer in writers:
            with contextlib.suppress(ConnectionError):
                writer.close()
