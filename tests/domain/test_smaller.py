"""What is published instead of an event that is too large."""

from __future__ import annotations

from typing import Any

from pydantic_core import to_json

from service.domain.change import Change, Event
from service.domain.endings import failed
from service.domain.facts import AnalysisEnded, PlatformErrorDetail
from service.domain.job import Phase
from service.domain.smaller import smaller_completions, smaller_progress
from tests.domain.builders import NOW, SCHEMA, apply, job_in, outcome, published_all, request_of

LONG = "x" * 5_000_000


def forms(change: Change) -> list[Event]:
    assert change.completion is not None
    found = list(smaller_completions(change.completion))
    for event in found:
        published_all(Change(change.job, completion=event), request_of(), NOW)
    return found


def sizes(events: list[Event]) -> list[int]:
    return [len(to_json(event.members)) for event in events]


def test_messages_are_cut_first_then_the_data_is_left_out_then_the_text() -> None:
    request = request_of(response_format=SCHEMA)
    text = '{"a": "' + "y" * 100_000 + '"}'
    ended = AnalysisEnded(outcome(text, warning_message=LONG))
    cut, without_data, too_large, last = forms(apply(job_in(Phase.STREAMING, request), ended, request))
    assert cut.members["warning"]["message"].endswith("(cut)")
    assert (cut.members["text"], cut.members["data"]) == (text, {"a": "y" * 100_000})
    assert (without_data.members["text"], without_data.members["data"]) == (text, None)
    assert "left out" in without_data.members["data_error"]
    for form in (too_large, last):
        error: Any = form.members["error"]
        assert error["code"] == "result_too_large"


def test_every_form_is_smaller_than_the_one_before() -> None:
    request = request_of(response_format=SCHEMA)
    change = apply(job_in(Phase.STREAMING, request), AnalysisEnded(outcome('"' + LONG + '"')), request)
    got = sizes(forms(change))
    assert got == sorted(got, reverse=True)
    assert got[-1] < 400


def test_what_the_platform_said_is_cut_and_its_code_kept() -> None:
    detail = PlatformErrorDetail(400, "no", LONG)
    change = failed(job_in(Phase.STREAMING), "rejected", LONG, "analysis", platform=detail)
    first, last = forms(change)
    assert first.members["error"]["platform"]["status"] == 400
    assert len(first.members["error"]["message"]) == len(first.members["error"]["platform"]["message"]) == 2_000
    assert last.members["error"]["code"] == "rejected"
    assert sizes([last])[0] < 600


def test_progress_is_cut_as_well() -> None:
    first, last = smaller_progress(Event("retrying", {"reason": LONG, "delay_seconds": 1.0}, (7,), 3))
    assert (len(first.members["reason"]), len(last.members["reason"])) == (2_000, 100)
    assert (last.id_parts, last.attempt, last.members["delay_seconds"]) == ((7,), 3, 1.0)
