"""Traces of a running service, as a collector gets them: from the producer's span to the completion."""

from __future__ import annotations

import asyncio
import signal
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest

from tests.harness.stage import Stage
from tests.support.waiting import until
from tests.traces.collector import Collector, Span, collecting, doubles, drawn, one

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(240)]

SLOW = "[[emulate: fragments=60 interval_ms=50]]"  # 3 s
COLLECTOR_KEY = "planted-collector-key-0123456789"
SIGNATURE = "plantedsignature0123456789abcdef"
PRESIGNED = f"https://media.example.com/a.mp4?X-Amz-Signature={SIGNATURE}"


@dataclass
class Producer:
    """The producer's span: what it writes to the header, and what the job hangs on."""

    trace_id: str
    span_id: str
    sampled: bool = True

    @property
    def headers(self) -> list[tuple[str, bytes]]:
        return [("traceparent", f"00-{self.trace_id}-{self.span_id}-0{int(self.sampled)}".encode())]


def producer(*, sampled: bool = True) -> Producer:
    return Producer(uuid.uuid4().hex, uuid.uuid4().hex[:16], sampled)


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with collecting() as made:
        yield made


@pytest.fixture(scope="module")
def stage(make_stage: Callable[..., Stage]) -> Stage:
    return make_stage(
        {"REELWIRE_TRACING__ENABLED": "true", "REELWIRE_SHUTDOWN__DRAIN_SECONDS": "60"}, serve=False, partitions=1
    )


@pytest.fixture
def otel(collector: Collector) -> dict[str, str]:
    return {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "OTEL_EXPORTER_OTLP_HEADERS": f"x-collector-key={COLLECTOR_KEY}",
        "OTEL_BSP_SCHEDULE_DELAY": "100",
        "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=test",
    }


SHARED = "shared"


@pytest.fixture
async def service(stage: Stage, otel: dict[str, str]) -> str:
    """The process that tests share which leave it as it is."""
    if not stage.system.service(SHARED).running:
        await stage.system.serve(SHARED, **otel, REELWIRE_LOG__LEVEL="DEBUG")
    return SHARED


@pytest.fixture
async def serve(stage: Stage, otel: dict[str, str]) -> AsyncIterator[Callable[..., Any]]:
    """Start a process of this test's own; all are ended when the test is over. The shared one is ended before."""
    names: list[str] = []
    if stage.system.service(SHARED).running:
        await stage.system.service(SHARED).kill()

    async def start(**environment: str) -> str:
        name = f"s{len(stage.system.services)}"
        names.append(name)
        await stage.system.serve(name, **{**otel, **environment})
        return name

    yield start
    for name in names:
        await stage.system.service(name).kill()


async def _sent(stage: Stage, parent: Producer, what: str = "job", **members: Any) -> str:
    name = stage.name(what)
    prompt = f"{name}: {members.pop('how', '')} PLANTED-PROMPT"
    clip = None if "video" in members else stage.clip()
    body = stage.analyze(name, clip, **members) | {"prompt": prompt}
    await stage.request_producer.send(body, key="camera-7", headers=parent.headers)
    return name


async def _job(collector: Collector, parent: Producer) -> tuple[Span, list[Span]]:
    """The span of the producer's only job, and its whole trace."""

    def found() -> list[Span]:
        return [span for span in collector.trace(parent.trace_id) if span.parent_id == parent.span_id]

    await until(found, "the span of the job", 20)
    spans = collector.trace(parent.trace_id)
    print(drawn(spans, parent.span_id))
    assert doubles(spans) == []
    (job,) = found()
    return job, spans


def _below(spans: list[Span], parent: Span) -> list[str]:
    return [span.name for span in spans if span.parent_id == parent.span_id]


async def test_a_trace_leads_from_the_producer_to_the_completion(
    stage: Stage, service: str, collector: Collector
) -> None:
    modes = {mode: producer() for mode in ("stream", "sync", "async")}
    names = {mode: await _sent(stage, parent, mode, mode=mode) for mode, parent in modes.items()}
    observer = await stage.ended(*names.values())
    for mode, parent in modes.items():
        job, spans = await _job(collector, parent)
        topics = stage.system.settings().topics
        assert (job.name, job.kind) == (f"process {topics.requests}", "consumer")
        (position,) = [at for at, record in observer.requests.items() if record.body["request_id"] == names[mode]]
        known = {
            "messaging.system": "kafka",
            "messaging.operation.type": "process",
            "messaging.destination.name": topics.requests,
            "messaging.destination.partition.id": "0",
            "messaging.consumer.group.name": stage.system.settings().kafka.group_id,
            "messaging.kafka.offset": position[1],
            "messaging.kafka.message.key": "camera-7",
            "reelwire.request_id": names[mode],
            "reelwire.mode": mode,
            "reelwire.attempts": 1,
            "reelwire.outcome": "completed",
        }
        assert {name: job[name] for name in known} == known
        send = f"send {topics.completions}"
        below = _below(spans, job)
        assert [below[0], below[1], below[-1]] == ["accept", "upload", send]
        assert set(below) <= {"accept", "upload", "wait", "attempt", send}
        assert one(spans, send).kind == "producer"
        assert one(spans, send)["messaging.kafka.offset"] == observer.completions[names[mode]][0].offset
        upload, attempt = one(spans, "upload"), one(spans, "attempt")
        assert "POST create_asset_direct" in _below(spans, upload)
        assert _below(spans, upload).count("GET get_asset") == 1  # of many looks the one that showed something
        calls = [span for span in spans if span.parent_id == attempt.span_id]
        assert {call.kind for call in calls} == {"client"}
        first = {"stream": "POST stream", "sync": "POST analyze", "async": "POST create_task"}[mode]
        assert calls[0].name == first
        assert calls[0]["http.response.status_code"] in (200, 201, 202)
        assert calls[0]["url.full"].startswith(stage.system.emulator_url)
        assert attempt["reelwire.outcome"] == "completed"
        # No child begins before its parent or ends after it, by more than what our milliseconds are cut by.
        by_id = {span.span_id: span for span in spans}
        for span in spans:
            above = by_id.get(span.parent_id)
            if above is not None:
                assert span.start_ns > above.start_ns - 2_000_000
                assert span.end_ns < above.end_ns + 2_000_000
        # The outputs carry the context of the request, as it was given.
        written = [observer.completions[names[mode]][0], *observer.progress[names[mode]]]
        assert {record.header("traceparent") for record in written} == {parent.headers[0][1].decode()}
    assert "first fragment" in one(collector.trace(modes["stream"].trace_id), "attempt").events
    # Logs and histograms lead to the trace.
    ids = {parent.trace_id for parent in modes.values()}
    assert {line["trace_id"] for line in stage.system.service(service).said("job_ended")} == ids
    accept = {"accept": "application/openmetrics-text; version=1.0.0"}
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{stage.system.url(service)}/metrics", headers=accept) as page,
    ):
        text = await page.text()
    pointed = [line for line in text.splitlines() if line.startswith("reelwire_job_seconds_bucket") and " # {" in line]
    assert pointed
    assert all(any(f'trace_id="{trace_id}"' in line for trace_id in ids) for line in pointed)
    assert 'reelwire_spans_total{outcome="failed"} 0.0' in text


async def test_a_request_of_a_trace_that_is_not_sampled_leaves_no_span(
    stage: Stage, service: str, collector: Collector
) -> None:
    unseen, seen = producer(sampled=False), producer()
    unsampled = await _sent(stage, unseen)
    await stage.ended(unsampled, await _sent(stage, seen))
    await _job(collector, seen)
    assert collector.trace(unseen.trace_id) == []
    lines = stage.system.service(service).said("job_ended")
    assert [line["trace_id"] for line in lines if line["request_id"] == unsampled] == [unseen.trace_id]


async def test_no_secret_and_no_prompt_is_in_a_trace(stage: Stage, service: str, collector: Collector) -> None:
    url, inline = producer(), producer()
    video = {"type": "url", "url": PRESIGNED}
    names = [
        await _sent(stage, url, video=video, tenant="acme", deadline="2999-01-01T00:00:00Z"),
        await _sent(stage, inline, video=video, upload="inline", mode="async"),
    ]
    await stage.ended(*names)
    for parent in (url, inline):
        await _job(collector, parent)
    await stage.system.service(service).stop()
    sent = b"\n".join(collector.bodies)
    assert b"acme" in sent
    key = stage.system.environment["REELWIRE_PLATFORM__API_KEY"]
    planted = [COLLECTOR_KEY, SIGNATURE, "PLANTED-PROMPT", key]
    assert [text for text in planted if text.encode() in sent] == []
    assert {headers["x-collector-key"] for headers in collector.headers} == {COLLECTOR_KEY}
    logged = stage.system.service(service).log_file.read_text()
    assert [text for text in (COLLECTOR_KEY, SIGNATURE, key) if text in logged] == []


async def test_a_job_whose_process_is_killed_has_one_span_and_two_attempts(
    stage: Stage, serve: Callable[..., Any], collector: Collector
) -> None:
    first = await serve()
    parent = producer()
    name = await _sent(stage, parent, mode="stream", how=SLOW)
    async with stage.watching() as observer:
        await observer.until(lambda: len(observer.fragments[name, 1]) > 3, "fragments")
        await until(lambda: collector.trace(parent.trace_id), "what came before the attempt", 10)
        await stage.system.service(first).kill()
        await serve()
        await observer.until_ended([name])
    job, spans = await _job(collector, parent)
    attempts = [span for span in spans if span.name == "attempt"]
    assert [(span["reelwire.attempt"], span["reelwire.outcome"], span.failed) for span in attempts] == [
        (1, "interrupted", True),
        (2, "completed", False),
    ]
    assert {span.parent_id for span in attempts} == {job.span_id}
    assert {span.instance for span in attempts} == {job.instance}
    assert {span.instance for span in spans if span.name in ("accept", "upload")} != {job.instance}
    assert _below(spans, attempts[1]) == ["POST stream"]
    assert job["reelwire.attempts"] == 2


async def test_an_attempt_that_is_carried_is_linked_to_by_its_new_owner(
    stage: Stage, serve: Callable[..., Any], collector: Collector
) -> None:
    first = await serve()
    parent = producer()
    name = await _sent(stage, parent, mode="stream", how=SLOW)
    async with stage.watching() as observer:
        await observer.until(lambda: len(observer.fragments[name, 1]) > 3, "fragments")
        stage.system.service(first).send(signal.SIGTERM)
        await stage.until_said("group_left", name=first)
        await serve()
        await observer.until_ended([name])
    # What the first process has to tell of it is sent before it ends.
    assert await asyncio.wait_for(stage.system.service(first).ended(), 30) == 0
    job, spans = await _job(collector, parent)
    attempt, carry, handover = one(spans, "attempt"), one(spans, "carry"), one(spans, "handover")
    assert attempt["reelwire.outcome"] == "completed"
    assert carry.parent_id == handover.parent_id == attempt.span_id
    assert handover.links == ((carry.trace_id, carry.span_id),)
    assert (carry["reelwire.outcome"], handover["reelwire.outcome"]) == ("handed_over", "received")
    assert carry.instance == one(spans, "POST stream").instance == one(spans, "accept").instance
    assert handover.instance == attempt.instance == job.instance != carry.instance
    assert job["reelwire.attempts"] == 1


async def test_a_collector_that_is_away_is_told_once_and_holds_up_nothing(
    stage: Stage, serve: Callable[..., Any], collector: Collector
) -> None:
    service = await serve(
        OTEL_EXPORTER_OTLP_ENDPOINT="http://user:planted-pass@127.0.0.1:9/otlp", OTEL_EXPORTER_OTLP_TIMEOUT="1"
    )
    names = [await _sent(stage, producer(), mode="sync") for _ in range(3)]
    await stage.ended(*names)
    await stage.until_said("traces_not_sent", name=service)
    page = await stage.until_page(
        "metrics", lambda page: 'reelwire_spans_total{outcome="failed"} 0.0' not in page[1], service
    )
    assert 'reelwire_spans_total{outcome="sent"} 0.0' in page[1]
    await stage.ended(await _sent(stage, producer(), mode="sync"))
    program = stage.system.service(service)
    program.send(signal.SIGTERM)
    assert await asyncio.wait_for(program.ended(), 20) == 0
    (line,) = program.said("traces_not_sent")
    assert line["endpoint"] == "http://127.0.0.1:9/otlp"
    logged = program.log_file.read_text()
    assert "planted-pass" not in logged
    assert "Traceback" not in logged
