"""What the failures of an attempt mean."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.domain.change import GetVideo, StopWork, WaitRetry
from service.domain.facts import (
    AnalysisFailed,
    AttemptCut,
    Begin,
    Fact,
    Failure,
    FailureKind,
    PlatformErrorDetail,
    ResultTooLarge,
    SlotGranted,
    StreamOpened,
    TaskSeen,
    WorkFailed,
)
from service.domain.job import Job, Mode, Phase
from tests.domain.builders import NOW, POLICY, apply, error_of, failure, job_in, request_of

MAYBE_BILLED = [FailureKind.SERVER, FailureKind.UNKNOWN, FailureKind.BROKEN, FailureKind.UNDELIVERED]
CERTAINLY_FREE = [FailureKind.NOT_SENT, FailureKind.LIMITED, FailureKind.UNAUTHORIZED]
RUNNING = [Phase.STREAMING, Phase.CALLING]


def again(job: Job, attempt: int) -> Job:
    """The job in its next attempt, as a slot makes it."""
    phase = Phase.CALLING if job.mode is Mode.SYNC else Phase.STREAMING
    return job.but(phase=phase, attempt=attempt)


@pytest.mark.parametrize("phase", RUNNING)
@pytest.mark.parametrize("kind", [*MAYBE_BILLED, FailureKind.BUSY])
def test_a_failed_attempt_is_followed_by_another_after_a_wait(phase: Phase, kind: FailureKind) -> None:
    change = apply(job_in(phase), AnalysisFailed(failure(kind)))
    stop, wait = change.actions
    assert stop == StopWork()
    assert isinstance(wait, WaitRetry)
    assert 0.5 <= wait.seconds <= 1
    assert change.job.phase is Phase.READY
    assert change.job.attempt == 1
    assert change.job.failures == 1
    assert change.save
    (event,) = change.events
    assert event.type == "retrying"
    assert event.members == {"reason": "it failed", "delay_seconds": round(wait.seconds, 3)}


@pytest.mark.parametrize(("phase", "code"), [(Phase.STREAMING, "stream_failed"), (Phase.CALLING, "outcome_unknown")])
@pytest.mark.parametrize("kind", MAYBE_BILLED)
def test_attempts_that_may_have_been_billed_are_counted(phase: Phase, code: str, kind: FailureKind) -> None:
    job = job_in(phase)
    for attempt in range(1, POLICY.max_attempts):
        change = apply(again(job, attempt), AnalysisFailed(failure(kind, status=502)))
        assert change.completion is None
        job = change.job
    error = error_of(apply(again(job, POLICY.max_attempts), AnalysisFailed(failure(kind, status=502))))
    assert (error["code"], error["stage"], error["retryable"]) == (code, "analysis", True)
    assert error["platform"] == {"status": 502, "code": None, "message": "said"}


@pytest.mark.parametrize("kind", [*CERTAINLY_FREE, FailureKind.BUSY])
def test_what_was_not_billed_does_not_use_up_attempts(kind: FailureKind) -> None:
    job = job_in(Phase.STREAMING, billed_failures=POLICY.max_attempts - 1)
    change = apply(job, AnalysisFailed(failure(kind)))
    assert change.completion is None
    assert change.job.billed_failures == POLICY.max_attempts - 1


@pytest.mark.parametrize("kind", CERTAINLY_FREE)
def test_what_cost_nothing_keeps_its_number_for_the_next_claim(kind: FailureKind) -> None:
    job = apply(job_in(Phase.STREAMING, attempt=2), AnalysisFailed(failure(kind))).job
    assert (job.attempt, job.attempt_unused, job.billed_failures) == (2, True, 0)
    claimed = apply(job, SlotGranted()).job
    assert (claimed.phase, claimed.attempt, claimed.attempt_unused) == (Phase.STREAMING, 2, False)


@pytest.mark.parametrize("kind", CERTAINLY_FREE)
def test_a_number_under_which_a_fragment_was_published_is_not_used_again(kind: FailureKind) -> None:
    job = apply(job_in(Phase.STREAMING, attempt=2), AnalysisFailed(failure(kind), published=True)).job
    assert apply(job, SlotGranted()).job.attempt == 3
    assert job.billed_failures == 0


@pytest.mark.parametrize("kind", CERTAINLY_FREE)
def test_what_cost_nothing_is_waited_for_as_long_as_a_silent_task(kind: FailureKind) -> None:
    fact = AnalysisFailed(failure(kind))
    first = apply(job_in(Phase.STREAMING), fact).job
    last = apply(again(first, 1), fact, now_ms=NOW + POLICY.task_patience_ms - 1)
    assert last.completion is None
    error = error_of(apply(again(last.job, 1), fact, now_ms=NOW + POLICY.task_patience_ms))
    assert (error["code"], error["retryable"]) == ("platform_unavailable", True)


def test_an_attempt_that_was_cut_off_counts_as_paid_over_any_number_of_restarts() -> None:
    job = job_in(Phase.STREAMING)
    for attempt in range(1, POLICY.max_attempts):
        change = apply(again(job, attempt), Begin(restored=True))
        assert change.completion is None
        job = change.job
    change = apply(again(job, POLICY.max_attempts), Begin(restored=True))
    assert error_of(change)["code"] == "stream_failed"
    assert [event.type for event in change.events] == ["interrupted"]
    called = apply(job_in(Phase.CALLING, billed_failures=POLICY.max_attempts - 1), AttemptCut())
    assert error_of(called)["code"] == "outcome_unknown"


@pytest.mark.parametrize("on_interrupt", ["restart", "async"])
def test_no_attempt_of_another_mode_is_paid_for_beyond_the_limit(on_interrupt: str) -> None:
    request = request_of(on_interrupt=on_interrupt)
    job = job_in(Phase.STREAMING, request, billed_failures=POLICY.max_attempts - 1)
    assert apply(job, AttemptCut(), request).completion is not None


def test_a_text_without_end_ends_the_job_and_is_not_paid_for_again() -> None:
    assert error_of(apply(job_in(Phase.STREAMING), ResultTooLarge("too much")))["code"] == "result_too_large"


def test_a_platform_that_is_too_busy_is_waited_for_as_long_as_patience_lasts() -> None:
    fact = AnalysisFailed(failure(FailureKind.BUSY, status=503))
    first = apply(job_in(Phase.STREAMING), fact).job
    last = apply(again(first, 2), fact, now_ms=NOW + POLICY.patience_ms - 1)
    assert last.completion is None
    error = error_of(apply(again(last.job, 3), fact, now_ms=NOW + POLICY.patience_ms))
    assert (error["code"], error["stage"], error["retryable"]) == ("platform_unavailable", "analysis", True)
    assert error["platform"]["status"] == 503


@pytest.mark.parametrize("kind", MAYBE_BILLED)
@pytest.mark.parametrize("free", [*CERTAINLY_FREE, FailureKind.BUSY])
def test_no_other_failure_begins_patience_anew(kind: FailureKind, free: FailureKind) -> None:
    fact = AnalysisFailed(failure(free))
    job = apply(job_in(Phase.STREAMING), fact).job
    job = apply(again(job, 2), AnalysisFailed(failure(kind)), now_ms=NOW + 1_000).job
    limit_ms = POLICY.patience_ms if free is FailureKind.BUSY else POLICY.task_patience_ms
    assert apply(again(job, 3), fact, now_ms=NOW + limit_ms - 1).completion is None
    assert error_of(apply(again(job, 3), fact, now_ms=NOW + limit_ms))["code"] == "platform_unavailable"


@settings(max_examples=300, deadline=None)
@given(
    phase=st.sampled_from(RUNNING),
    failures=st.lists(
        st.tuples(
            st.sampled_from([kind for kind in FailureKind if kind is not FailureKind.REJECTED])
            | st.sampled_from(["cut", "bug"]),
            st.integers(0, 2_000),
        ),
        min_size=60,
        max_size=60,
    ),
)
def test_whatever_fails_in_whatever_order_a_request_is_paid_for_a_limited_number_of_times(
    phase: Phase, failures: list[tuple[FailureKind | str, int]]
) -> None:
    job, now_ms, paid, attempt = job_in(phase), NOW, 0, 1
    for kind, passes_ms in failures:
        now_ms += passes_ms
        if kind not in (*CERTAINLY_FREE, FailureKind.BUSY):
            paid += 1
        if isinstance(kind, FailureKind):
            fact: Fact = AnalysisFailed(failure(kind))
        else:
            fact = AttemptCut() if kind == "cut" else WorkFailed("a bug")
        change = apply(again(job, attempt), fact, now_ms=now_ms)
        if change.completion is not None:
            break
        job = change.job
        attempt += 1
    assert paid <= POLICY.max_attempts


def test_a_wait_is_at_least_what_the_platform_wishes_and_ends_with_patience() -> None:
    fact = AnalysisFailed(Failure(FailureKind.LIMITED, "busy", None, retry_after_seconds=7_200.0))
    (_, wait) = apply(job_in(Phase.STREAMING), fact).actions
    assert wait == WaitRetry(7_200.0)
    fact = AnalysisFailed(Failure(FailureKind.LIMITED, "busy", None, retry_after_seconds=1e10))
    (_, wait) = apply(job_in(Phase.STREAMING), fact).actions
    assert wait == WaitRetry(POLICY.task_patience_ms / 1000)


def test_waits_grow_from_failure_to_failure() -> None:
    job, waits = job_in(Phase.STREAMING), []
    for attempt in range(1, 6):
        change = apply(again(job, attempt), AnalysisFailed(failure(FailureKind.BUSY)))
        (_, wait) = change.actions
        assert isinstance(wait, WaitRetry)
        waits.append(wait.seconds)
        job = change.job
    assert waits[1] > waits[0]
    assert max(waits) <= POLICY.retry_max_seconds


@pytest.mark.parametrize("phase", RUNNING)
@pytest.mark.parametrize("status", [400, 409, 413, 422])
def test_a_request_that_is_refused_is_not_sent_again(phase: Phase, status: int) -> None:
    fact = AnalysisFailed(failure(FailureKind.REJECTED, status=status, code="parameter_invalid"))
    error = error_of(apply(job_in(phase), fact))
    assert error == {
        "code": "rejected",
        "message": "it failed",
        "stage": "analysis",
        "retryable": False,
        "platform": {"status": status, "code": "parameter_invalid", "message": "said"},
    }


@pytest.mark.parametrize("refusal", [{"status": 404}, {"status": 400, "code": "resource_not_exist"}])
def test_an_asset_of_ours_that_is_gone_is_uploaded_again(refusal: dict[str, object]) -> None:
    fact = AnalysisFailed(failure(FailureKind.REJECTED, **refusal))  # type: ignore[arg-type]
    change = apply(job_in(Phase.STREAMING), fact)
    job = change.job
    assert (job.phase, job.asset_id, job.duration, job.mode) == (Phase.ACCEPTED, None, None, None)
    assert job.lost_asset_id == "asset-1"
    assert job.attempt == 1
    assert change.actions == (StopWork(), GetVideo())
    assert change.save
    assert change.events[0].type == "retrying"


def test_an_asset_is_uploaded_again_once_and_not_for_ever() -> None:
    fact = AnalysisFailed(failure(FailureKind.REJECTED, status=404))
    job = job_in(Phase.STREAMING, lost_asset_id="asset-0")
    assert error_of(apply(job, fact))["code"] == "rejected"


def test_a_given_asset_that_is_gone_is_the_request_s_fault() -> None:
    request = request_of(video={"type": "asset_id", "asset_id": "asset-1"})
    fact = AnalysisFailed(failure(FailureKind.REJECTED, status=404))
    error = error_of(apply(job_in(Phase.STREAMING, request), fact, request))
    assert (error["code"], error["stage"]) == ("source_not_found", "request")
    assert "asset-1" in error["message"]


def test_an_inline_video_has_no_asset_to_lose() -> None:
    request = request_of(upload="inline", mode="stream")
    job = job_in(Phase.STREAMING, request, asset_id=None, duration=None)
    fact = AnalysisFailed(failure(FailureKind.REJECTED, status=404))
    assert error_of(apply(job, fact, request))["code"] == "rejected"


ABOUT_THE_FILE = [
    ("parameter_invalid", "The video's url answered 404."),
    ("parameter_invalid", "The video.url parameter is invalid."),
    ("parameter_invalid", "the video_url can not be read"),
    ("parameter_invalid", "URL is not reachable"),
    ("resource_not_exist", "not there"),
    ("video_file_broken", None),
    ("video_duration_too_short", "The video lasts 0.4 s."),
    (None, "video_file_broken: the file is damaged"),
    (None, "The video could not be downloaded."),
]
ABOUT_THE_REQUEST = [
    ("parameter_invalid", "The prompt parameter is invalid."),
    ("parameter_invalid", "The response_format.json_schema.properties.url parameter is invalid."),
    ("parameter_invalid", "The end_time must be inside the video."),
    ("video_resolution_too_high", "too large"),
    ("token_limit_exceeded", "curl up"),
    (None, None),
]


@pytest.mark.parametrize(
    ("code", "said", "later"),
    [(*case, True) for case in ABOUT_THE_FILE] + [(*case, False) for case in ABOUT_THE_REQUEST],
)
@pytest.mark.parametrize("phase", [*RUNNING, Phase.WATCHING])
def test_a_file_that_an_inline_url_does_not_have_yet_may_come(
    phase: Phase, code: str | None, said: str | None, later: bool
) -> None:
    request = request_of(upload="inline")
    refusal = Failure(FailureKind.REJECTED, "it failed", PlatformErrorDetail(400, code, said))
    fact = TaskSeen("failed", code=code, message=said) if phase is Phase.WATCHING else AnalysisFailed(refusal)
    error = error_of(apply(job_in(phase, request, asset_id=None, duration=None), fact, request))
    assert error["retryable"] == later
    assert ("send the request again" in error["message"]) == later
    assert error_of(apply(job_in(phase, lost_asset_id="asset-0"), fact))["retryable"] is False
    bytes_inline = request_of(upload="inline", video={"type": "base64_string", "base64_string": "AAAA"})
    job = job_in(phase, bytes_inline, asset_id=None, duration=None)
    assert error_of(apply(job, fact, bytes_inline))["retryable"] is False


def test_a_stream_that_opens_is_told_and_nothing_else_changes() -> None:
    change = apply(job_in(Phase.STREAMING), StreamOpened("gen-1"))
    assert [event.type for event in change.events] == ["stream_started"]
    assert change.job == job_in(Phase.STREAMING)
    assert not change.save
