"""What a completion says."""

from __future__ import annotations

from typing import Any

import pytest

from contracts.codes import ErrorCode
from service.domain.change import Change
from service.domain.endings import ended_as, failed
from service.domain.facts import AnalysisEnded
from service.domain.job import Ending, Job, Phase
from tests.domain.builders import NOW, SCHEMA, apply, error_of, job_in, outcome, published_all, request_of, segments


def completed(request: Any = None, job: Job | None = None, **members: Any) -> dict[str, Any]:
    change = apply(job or job_in(Phase.STREAMING, request), AnalysisEnded(outcome(**members)), request)
    assert change.completion is not None
    assert change.completion.type == "completed"
    return dict(change.completion.members)


def test_a_completion_holds_the_whole_result() -> None:
    got = completed(output_tokens=40, input_tokens=900, fragments=7, first_fragment_ms=NOW - 400)
    assert got == {
        "mode": "stream",
        "text": "Two people talk.",
        "data": None,
        "data_error": None,
        "finish_reason": "stop",
        "warning": None,
        "usage": {
            "input_tokens": 900,
            "output_tokens": 40,
            "video_seconds": 120.0,
            "billed_minutes": 2.0,
            "estimated_cost": None,
            "currency": None,
        },
        "generation_id": "gen-1",
        "asset_id": "asset-1",
        "task_id": None,
        "batch_id": None,
        "fragments": 7,
        "timeline": None,
        "timings": {"queued": 2.0, "upload": 1.0, "analysis": 1.0, "first_fragment": 0.6, "total": 5.0},
    }


def test_a_warning_is_handed_on() -> None:
    got = completed(warning_message="cut short", finish_reason="length")
    assert got["warning"] == {"code": None, "message": "cut short"}
    assert completed(warning_message="m", warning_code="c")["warning"] == {"code": "c", "message": "m"}


def test_text_is_decoded_where_a_response_format_asked_for_json() -> None:
    request = request_of(response_format=SCHEMA)
    got = completed(request, text='{"a": 1}')
    assert got["data"] == {"a": 1}
    assert got["data_error"] is None
    assert got["text"] == '{"a": 1}'


def test_text_that_only_looks_like_json_is_left_alone() -> None:
    got = completed(text='{"a": 1}')
    assert (got["data"], got["data_error"]) == (None, None)


@pytest.mark.parametrize(
    "text",
    ["", "Two people", '{"a": 1', "[NaN]", "[1e999]", '["\\ud800"]', "[" * 300 + "]" * 300, "[" * 5000],
)
def test_what_can_not_be_decoded_or_written_is_told_and_its_text_kept(text: str) -> None:
    got = completed(request_of(response_format=SCHEMA), text=text)
    assert got["data"] is None
    assert got["data_error"].startswith("the text is not JSON: ")
    assert got["text"] == text


def test_a_cut_at_the_length_limit_is_told() -> None:
    got = completed(request_of(response_format=SCHEMA), text='{"a": 1', finish_reason="length")
    assert "cut at its length limit" in got["data_error"]
    assert "cut at" not in completed(request_of(response_format=SCHEMA), text='{"a": 1')["data_error"]


def test_integers_of_any_size_are_decoded_as_they_are() -> None:
    got = completed(request_of(response_format=SCHEMA), text=f'{{"a": {2**80}}}')
    assert got["data"] == {"a": 2**80}


def test_json_null_is_data_without_an_error() -> None:
    got = completed(request_of(response_format=SCHEMA), text="null")
    assert (got["data"], got["data_error"]) == (None, None)


def test_segments_are_billed_once_per_definition() -> None:
    request = request_of(**segments(3))
    got = completed(request, job_in(Phase.CALLING, request))
    assert got["usage"]["billed_minutes"] == 6.0


def test_an_inline_video_has_no_upload_and_no_known_length() -> None:
    request = request_of(upload="inline", mode="stream")
    job = job_in(Phase.STREAMING, request, asset_id=None, duration=None, upload_started_ms=None, upload_ended_ms=None)
    got = completed(request, job)
    assert got["timings"] == {"queued": 4.0, "upload": None, "analysis": 1.0, "first_fragment": None, "total": 5.0}
    assert got["usage"]["video_seconds"] is None
    assert got["usage"]["billed_minutes"] is None


def test_clocks_that_disagree_make_no_time_negative() -> None:
    job = job_in(Phase.STREAMING, received_ms=NOW + 60_000, attempt_started_ms=NOW + 10)
    assert set(completed(job=job)["timings"].values()) == {0.0, 1.0, None}


@pytest.mark.parametrize("code", ErrorCode)
def test_every_code_of_the_contract_can_be_said(code: ErrorCode) -> None:
    change = failed(job_in(Phase.STREAMING), code, "why", code.stage)
    published_all(change, request_of(), NOW)
    assert error_of(change)["code"] == code


@pytest.mark.parametrize(("note", "reason"), [("", "too late"), ("task: ready", "too late (task: ready)")])
def test_an_early_end_gives_its_reason(note: str, reason: str) -> None:
    canceled: Change = ended_as(job_in(Phase.CANCELING), Ending("too late"), note)
    assert canceled.completion is not None
    assert canceled.completion.members == {"reason": reason}
    assert (
        error_of(ended_as(job_in(Phase.CANCELING), Ending("too late", "deadline_exceeded"), note))["message"] == reason
    )


def test_an_ended_job_keeps_the_number_of_its_last_attempt() -> None:
    (event,) = published_all(
        apply(job_in(Phase.STREAMING, attempt=4), AnalysisEnded(outcome())), request_of(metadata={"a": 1}), NOW
    )
    assert event.attempt == 4
    assert event.type == "completed"
    assert event.metadata == {"a": 1}
