"""Keys, headers and envelopes: what goes in around a request, and what comes out around its events."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from tests.harness.evidence import Record
from tests.harness.observer import Observer
from tests.harness.stage import Stage

pytestmark = pytest.mark.acceptance

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def _outputs(observer: Observer, name: str) -> list[Record]:
    return [record for record in observer.records if record.request_id == name and record.header("ce_id")]


async def test_the_key_of_a_request_is_kept_on_everything_published_for_it(stage: Stage) -> None:
    name = stage.name()
    await stage.request_producer.send(stage.analyze(name, stage.clip(), mode="stream"), key=b"cam\xff7")
    outputs = _outputs(await stage.ended(name), name)

    assert {record.key for record in outputs} == {b"cam\xff7"}
    assert {record.role for record in outputs} == {"fragments", "completions", "progress"}


async def test_outputs_of_a_request_without_a_key_have_its_id_as_theirs(stage: Stage) -> None:
    name = stage.name()
    await stage.request_producer.send(stage.analyze(name, stage.clip(), mode="stream"))

    assert {record.key for record in _outputs(await stage.ended(name), name)} == {name.encode()}


async def test_everything_is_published_in_the_partition_of_its_request(stage: Stage) -> None:
    clip = stage.clip()
    for partition in (0, 1):
        name = stage.name()
        body = stage.analyze(name, clip, mode="stream")
        await stage.request_producer.send(body, partition=partition)
        assert {record.partition for record in _outputs(await stage.ended(name), name)} == {partition}


async def test_metadata_is_echoed_on_every_event_but_fragments(stage: Stage) -> None:
    name, metadata = stage.name(), {"camera": 7, "nested": {"ö": [1.5, None, "x"]}}
    await stage.request_producer.send(stage.analyze(name, stage.clip(), mode="stream", metadata=metadata))

    for record in _outputs(await stage.ended(name), name):
        if record.role == "fragments":
            assert "metadata" not in record.body
        else:
            assert record.body["metadata"] == metadata


async def test_events_are_cloudevents_in_binary_mode(stage: Stage) -> None:
    name = stage.name()
    await stage.request_producer.send(stage.analyze(name, stage.clip(), mode="stream"))

    for record in _outputs(await stage.ended(name), name):
        assert record.header("content-type") == "application/json"
        assert record.header("ce_specversion") == "1.0"
        assert record.header("ce_type") == f"com.reelwire.video.analysis.{record.type}.v1"
        assert record.header("ce_subject") == name
        assert record.header("ce_time") == record.body["time"]


async def test_the_trace_of_a_request_is_on_every_output(stage: Stage) -> None:
    name = stage.name()
    headers = [("traceparent", TRACE.encode()), ("tracestate", b"vendor=1")]
    await stage.request_producer.send(stage.analyze(name, stage.clip(), mode="stream"), headers=headers)

    for record in _outputs(await stage.ended(name), name):
        assert (record.header("traceparent"), record.header("tracestate")) == (TRACE, "vendor=1")


@pytest.mark.parametrize("envelope", ["binary", "structured"])
async def test_a_request_may_come_as_a_cloudevent(stage: Stage, envelope: str) -> None:
    name = stage.name()
    body: dict[str, Any] = stage.analyze(name, stage.clip(), mode="sync")
    if envelope == "binary":
        headers = [
            ("content-type", b"application/json"),
            ("ce_specversion", b"1.0"),
            ("ce_id", b"1"),
            ("ce_source", b"/cameras"),
            ("ce_type", b"com.example.analyze"),
        ]
        await stage.request_producer.send(body, headers=headers)
    else:
        event = {
            "specversion": "1.0",
            "id": "1",
            "source": "/cameras",
            "type": "com.example.analyze",
            "datacontenttype": "application/json",
            "traceparent": TRACE,
            "data": body,
        }
        await stage.request_producer.send(
            orjson.dumps(event), headers=[("content-type", b"application/cloudevents+json; charset=utf-8")]
        )
    observer = await stage.ended(name)

    assert (observer.completion(name) or {})["type"] == "completed"
    if envelope == "structured":
        assert {record.header("traceparent") for record in _outputs(observer, name)} == {TRACE}


async def test_both_isolation_levels_see_the_same(stage: Stage) -> None:
    name = stage.name()
    await stage.answer(stage.analyze(name, stage.clip(), mode="stream"))
    settings = stage.system.settings()
    committed = await Observer.of_everything(settings)
    uncommitted = await Observer.of_everything(settings, "read_uncommitted")

    assert [r.value for r in committed.fragments[name, 1]] == [r.value for r in uncommitted.fragments[name, 1]]


async def test_after_all_that_every_promise_was_kept(stage: Stage) -> None:
    broken = await stage.broken_promises()
    assert broken == [], "\n".join(broken)
