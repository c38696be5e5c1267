"""What is written of a job: ids that every process computes alike, how attempts end, and calls."""

from __future__ import annotations

import contextvars
from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased

from service.domain.change import Event
from service.domain.facts import (
    AnalysisEnded,
    AnalysisFailed,
    AttemptCut,
    AttemptUnused,
    Begin,
    CancelAsked,
    DeadlinePassed,
    Fact,
    Failure,
    FailureKind,
    Outcome,
    PlatformErrorDetail,
    ResultTooLarge,
    TaskCanceled,
    TaskGivenUp,
    TaskLost,
    TaskNotMade,
    TaskSeen,
    WorkFailed,
)
from service.domain.handover import Claim
from service.domain.job import Ending, Job, Mode, Phase
from service.engine.tracing.attempt_end import attempt_end, attempt_over
from service.engine.tracing.job_trace import JobTrace
from service.kafka.ports import RecordPosition
from service.platform.errors import OutcomeUnknown
from service.telemetry.redaction import remember
from service.telemetry.tracing.calls import CallSpan, called, calls_belong_to, calls_held, calls_polled
from service.telemetry.tracing.tracer import parent_context
from tests.traces.written import Written, id_of

pytestmark = pytest.mark.unit

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE}-00f067aa0ba902b7-01"
BASE_URL = "https://user:planted-password@api.example.com:8443/v1.3"
COMPLETED = Event("completed", {})
PLACES = [RecordPosition("completions", 3, 7)]
FAILURE = Failure(FailureKind.BROKEN, "cut", PlatformErrorDetail(502, None, "PROMPT"))


@pytest.fixture
def written() -> Written:
    return Written()


@pytest.fixture
def in_context() -> Callable[..., Any]:
    """Runs functions in one context of their own, so that no test leaves a parent to the next."""
    return contextvars.copy_context().run


def job(**members: Any) -> Job:
    given = {"partition": 3, "offset": 42, "key": b"cam7", "digest": "", "body": b"{}", "traceparent": PARENT}
    return Job(**{"request_id": "r-1", "received_ms": 900, "accepted_ms": 1_000, **given, **members})


def running(**members: Any) -> Job:
    return job(phase=Phase.STREAMING, mode=Mode.STREAM, attempt=1, attempt_started_ms=2_000, **members)


def end(trace: JobTrace, ended: Job, completion: Event = COMPLETED, tenant: str | None = None) -> None:
    """The completion was written, and is durable."""
    durable = trace.ended(ended, completion, tenant, 3_000)
    if durable is not None:
        durable(PLACES)


def test_every_process_computes_the_same_ids(written: Written) -> None:
    here, there = written.of(job()), Written().of(running())
    assert here.context == there.context
    assert here.attempt(1, 2_000) == there.attempt(1, 2_000)
    assert here.ids["trace_id"] == TRACE


@pytest.mark.parametrize("other", [{"run": 2}, {"accepted_ms": 1_001}, {"offset": 43}, {"request_id": "r-2"}])
def test_another_job_has_another_span_in_the_same_trace(written: Written, other: dict[str, Any]) -> None:
    here, there = written.of(job()), written.of(job(**other))
    assert here.context.span_id != there.context.span_id
    assert here.context.trace_id == there.context.trace_id


def test_a_number_that_is_taken_again_is_another_attempt(written: Written) -> None:
    trace = written.of(job())
    assert trace.attempt(1, 2_000).span_id != trace.attempt(1, 3_000).span_id


def test_a_request_without_a_context_begins_a_trace_of_its_own(written: Written) -> None:
    here, there = written.of(job(traceparent=None)), Written().of(job(traceparent=None))
    assert here.context == there.context
    end(here, running(traceparent=None))
    span = written.span("process video.analysis.requests.v1")
    assert span.parent is None
    assert id_of(span) == here.context.span_id


def test_the_state_of_the_trace_is_handed_on(written: Written) -> None:
    trace = written.of(job(tracestate="rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"))
    assert trace.attempt(1, 2_000).trace_state["rojo"] == "00f067aa0ba902b7"


def test_the_sampler_decides_once_for_a_job_and_its_children() -> None:
    ratio = Written(ParentBased(TraceIdRatioBased(0.5)))
    jobs = [job(traceparent=None, offset=offset) for offset in range(200)]
    sampled = []
    for one in jobs:
        trace = ratio.of(one)
        trace.accepted(one, 1_010)
        end(trace, one)
        sampled += [trace.context.span_id] if trace.exemplar is not None else []
    assert 60 < len(sampled) < 140
    assert [id_of(span) for span in ratio.spans("process video.analysis.requests.v1")] == sampled
    assert len(ratio.spans("accept")) == len(sampled)


def test_the_span_of_a_job_tells_its_place_and_its_end(written: Written) -> None:
    error = {"code": "stream_failed", "message": "PROMPT"}
    end(written.of(job()), running(), Event("failed", {"error": error}), "acme")
    span = written.span("process video.analysis.requests.v1")
    assert span.parent is not None
    assert (span.parent.span_id, span.parent.is_remote) == (0x00F067AA0BA902B7, True)
    assert span.start_time == 900_000_000
    assert (span.status.is_ok, span.status.description) == (False, "stream_failed")
    told = written.told("process video.analysis.requests.v1")
    assert (told["error.type"], told["messaging.kafka.offset"], told["reelwire.tenant"]) == (
        "stream_failed",
        42,
        "acme",
    )
    assert written.told("send video.analysis.completions.v1")["messaging.kafka.offset"] == 7


@pytest.mark.parametrize("stamp", [-1, 5_000])
def test_a_record_without_a_usable_time_begins_when_it_was_accepted(written: Written, stamp: int) -> None:
    begun = running(received_ms=stamp)
    end(written.of(begun), begun)
    assert written.span("process video.analysis.requests.v1").start_time == 1_000_000_000


ENDS: list[tuple[Fact, str, str | None]] = [
    (AnalysisEnded(Outcome("text", "stop", "g")), "completed", None),
    (TaskSeen("ready", Outcome("text", "stop", "g")), "completed", None),
    (AnalysisFailed(FAILURE), "failed", "broken"),
    (TaskNotMade(FAILURE, looked_for=True), "failed", "broken"),
    (ResultTooLarge(""), "failed", "result_too_large"),
    (TaskSeen("failed"), "failed", "task_failed"),
    (TaskLost(None), "failed", "outcome_unknown"),
    (TaskGivenUp("", running=True), "failed", "outcome_unknown"),
    (Begin(restored=True), "interrupted", "interrupted"),
    (AttemptCut(), "interrupted", "interrupted"),
    (AttemptUnused(), "unused", None),
    (CancelAsked(""), "canceled", None),
    (DeadlinePassed(), "canceled", "deadline_exceeded"),
    (TaskCanceled(""), "canceled", "outcome_unknown"),
    (WorkFailed(""), "failed", "internal_error"),
]


@pytest.mark.parametrize(("fact", "outcome", "error"), ENDS, ids=lambda value: type(value).__name__)
def test_an_attempt_says_how_it_ended(fact: Fact, outcome: str, error: str | None) -> None:
    end = attempt_end(running(ending=Ending("", "outcome_unknown")), fact)
    assert (end.outcome, end.error) == (outcome, error)


def test_an_attempt_is_over_when_its_phase_or_its_number_is() -> None:
    begun = running()
    assert attempt_over(begun, begun.but(phase=Phase.READY))
    assert attempt_over(begun, begun.but(phase=Phase.ENDED))
    assert attempt_over(begun, begun.but(attempt=2, attempt_started_ms=3_000))
    assert not attempt_over(begun, begun.but(asset_id="a"))
    assert not attempt_over(begun.but(phase=Phase.CREATING), begun.but(phase=Phase.CANCELING))
    assert not attempt_over(begun.but(phase=Phase.READY), begun)
    assert not attempt_over(job(), job(phase=Phase.ENDED))


def test_an_attempt_is_written_when_its_end_is_durable(written: Written) -> None:
    begun, outcome = running(), Outcome("PROMPT", "stop", "g", output_tokens=9, fragments=3, first_fragment_ms=2_100)
    durable = written.of(begun).attempt_ended(begun, begun.but(phase=Phase.ENDED), AnalysisEnded(outcome), 3_000)
    assert written.spans("attempt") == []
    assert durable is not None
    durable(PLACES)
    span, told = written.span("attempt"), written.told("attempt")
    assert [(event.name, event.timestamp) for event in span.events] == [("first fragment", 2_100_000_000)]
    assert (told["reelwire.fragments"], told["gen_ai.usage.output_tokens"]) == (3, 9)
    assert "PROMPT" not in span.to_json()


def test_an_owner_links_to_the_carrier_it_waits_for(written: Written) -> None:
    carrier, owner, claim = written.of(running()), Written(), Claim(1, 2_000)
    carrier.carried(claim, "a", "taken_back", 1.0)
    carrier.carried(claim, "a", "handed_over", 2.0)
    owner.of(running()).handed_over(claim, "a", "received", 1.5)
    taken_back, handed_over = written.spans("carry")
    (link,) = owner.span("handover").links
    assert link.context.span_id == id_of(handed_over) != id_of(taken_back)
    assert handed_over.parent is not None
    assert handed_over.parent.span_id == carrier.attempt(1, 2_000).span_id


def test_secrets_are_taken_out_of_what_callers_chose(written: Written) -> None:
    remember("planted-secret-of-a-caller")
    name = "https://u:planted-pw@h/x?sig=planted"
    begun = running(key=b"planted-secret-of-a-caller " + b"x" * 400, request_id=name)
    end(written.of(begun), begun, tenant=name)
    text = written.span("process video.analysis.requests.v1").to_json()
    assert "planted" not in text
    assert len(written.told("process video.analysis.requests.v1")["messaging.kafka.message.key"]) <= 256


# Calls


def _call(status: int | None = 200, error: Exception | None = None, path: str = "assets/1") -> CallSpan:
    with called("get_asset", "GET", BASE_URL, path) as span:
        if error is not None:
            raise error
        if status is not None:
            span.answered(status)
        return span


def test_a_call_that_belongs_to_nothing_has_no_span(written: Written, in_context: Callable[..., Any]) -> None:
    assert in_context(_call).exemplar is None
    assert written.spans("GET get_asset") == []


def test_a_call_tells_where_it_went_without_credentials(written: Written, in_context: Callable[..., Any]) -> None:
    context = written.of(job()).context
    in_context(calls_belong_to, written.tracer, context)
    span = in_context(_call)
    assert written.told("GET get_asset") == {
        "http.request.method": "GET",
        "http.response.status_code": 200,
        "server.address": "api.example.com",
        "server.port": 8443,
        "url.full": "https://api.example.com:8443/v1.3/assets/1",
        "reelwire.platform.operation": "get_asset",
    }
    assert span.exemplar == {"trace_id": TRACE, "span_id": f"{id_of(written.span('GET get_asset')):016x}"}


def test_a_call_that_fails_says_why(written: Written, in_context: Callable[..., Any]) -> None:
    in_context(calls_belong_to, written.tracer, written.of(job()).context)
    in_context(_call, 429)
    with pytest.raises(OutcomeUnknown):
        in_context(_call, None, OutcomeUnknown("PROMPT"))
    first, second = written.spans("GET get_asset")
    assert [(span.attributes or {})["error.type"] for span in (first, second)] == ["429", "OutcomeUnknown"]
    assert "PROMPT" not in second.to_json()


def test_a_call_of_a_job_that_is_not_sampled_has_no_span(written: Written, in_context: Callable[..., Any]) -> None:
    context = parent_context(PARENT[:-1] + "0", None)
    assert context is not None
    in_context(calls_belong_to, written.tracer, context)
    assert in_context(_call).exemplar is None
    assert written.spans("GET get_asset") == []


def test_of_many_looks_those_are_kept_that_show_something(written: Written, in_context: Callable[..., Any]) -> None:
    context = written.of(job()).context

    def looks() -> None:
        with calls_held(written.tracer, context):
            _call(200)
        with calls_held(written.tracer, context) as held:
            _call(201)
            held.keep()
        calls_belong_to(written.tracer, context)
        with calls_polled():
            _call(202)
        with pytest.raises(OutcomeUnknown), calls_polled():
            _call(error=OutcomeUnknown())

    in_context(looks)
    statuses = [(span.attributes or {}).get("http.response.status_code") for span in written.spans("GET get_asset")]
    assert statuses == [201, None]
