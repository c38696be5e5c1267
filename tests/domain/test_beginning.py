"""From a request that was accepted to an attempt that is claimed, and again after a crash."""

from __future__ import annotations

from typing import Any

import pytest

from service.domain.change import GetVideo, MakeTask, RunStream, RunSync, Slot, StopWork, WaitSlot, WatchTask
from service.domain.facts import AttemptCut, Begin, RetryDue, SlotGranted, VideoFailed, VideoReady
from service.domain.job import Ending, Mode, Phase
from tests.domain.builders import NOW, apply, error_of, job_in, job_of, published, reason_of, request_of, segments

READY = VideoReady("asset-9", 120.0, reused=False, began_ms=NOW - 700)


@pytest.mark.parametrize("restored", [False, True])
def test_a_job_begins_with_its_video(restored: bool) -> None:
    change = apply(job_of(), Begin(restored))
    assert change.actions == (GetVideo(),)
    assert not change.save
    assert change.job == job_of()


@pytest.mark.parametrize(("mode", "used"), [("auto", Mode.ASYNC), ("stream", Mode.STREAM), ("sync", Mode.SYNC)])
def test_an_inline_video_needs_no_asset(mode: str, used: Mode) -> None:
    request = request_of(upload="inline", mode=mode)
    change = apply(job_of(request), Begin(), request)
    assert change.job.phase is Phase.READY
    assert change.job.mode is used
    assert change.job.asset_id is None
    assert change.events == ()
    assert change.save


def test_a_deadline_that_is_past_ends_a_job_before_it_costs_anything() -> None:
    change = apply(job_of(deadline_ms=NOW), Begin())
    assert error_of(change) | {"message": ""} == {
        "code": "deadline_exceeded",
        "message": "",
        "stage": "request",
        "retryable": False,
        "platform": None,
    }
    assert apply(job_of(deadline_ms=NOW + 1), Begin()).completion is None


@pytest.mark.parametrize(
    ("mode", "used"),
    [("auto", Mode.STREAM), ("stream", Mode.STREAM), ("sync", Mode.SYNC), ("async", Mode.ASYNC)],
)
def test_images_need_no_video_and_are_answered_at_once_unless_told_otherwise(mode: str, used: Mode) -> None:
    picture = {"name": "a", "url": "https://media.example.com/a.png"}
    request = request_of(video=None, image=[picture], model_name="pegasus1.6", mode=mode)
    change = apply(job_of(request), Begin(), request)
    assert (change.job.phase, change.job.mode, change.job.asset_id) == (Phase.READY, used, None)


def test_images_that_are_assets_are_looked_at_first() -> None:
    request = request_of(video=None, image=[{"name": "a", "asset_id": "7"}], model_name="pegasus1.6")
    assert apply(job_of(request), Begin(), request).actions == (GetVideo(),)


def test_a_prompt_with_references_begins_as_any_other() -> None:
    request = request_of(prompt=None, prompt_v2={"input_text": "Who?"})
    assert apply(job_of(request), Begin(), request).actions == (GetVideo(),)


def test_a_job_canceled_within_its_own_batch_ends_at_once() -> None:
    change = apply(job_of(ending=Ending("canceled by request")), Begin())
    assert reason_of(change) == "canceled by request"


def test_a_video_at_hand_makes_a_job_wait_for_its_slot() -> None:
    change = apply(job_of(), READY)
    job = change.job
    assert (job.phase, job.mode, job.asset_id, job.duration) == (Phase.READY, Mode.STREAM, "asset-9", 120.0)
    assert (job.upload_started_ms, job.upload_ended_ms) == (NOW - 700, NOW)
    assert change.actions == (WaitSlot(Slot.STREAM),)
    assert change.save
    assert change.events[0].members == {"asset_id": "asset-9", "duration": 120.0, "reused": False}


def test_a_video_that_turns_out_too_long_ends_the_job_with_its_asset_told() -> None:
    request = request_of(mode="sync")
    change = apply(job_of(request), VideoReady("asset-9", 3601.0, reused=True, began_ms=NOW), request)
    assert error_of(change)["code"] == "mode_not_possible"
    assert [event.type for event in change.events] == ["asset_ready"]


def test_a_video_without_an_asset_has_none_to_announce() -> None:
    change = apply(job_of(), VideoReady(None, None, reused=False, began_ms=NOW))
    assert change.events == ()
    assert change.job.phase is Phase.READY


def test_a_video_that_can_not_be_had_ends_the_job_as_told() -> None:
    fact = VideoFailed("upload", "asset_failed", "no picture", retryable=True)
    error = error_of(apply(job_of(), fact))
    assert (error["code"], error["stage"], error["message"]) == ("asset_failed", "upload", "no picture")
    assert error["retryable"] is True


@pytest.mark.parametrize(
    ("members", "turn"),
    [({"mode": "stream"}, Slot.STREAM), ({"mode": "sync"}, Slot.STREAM), ({"mode": "async"}, Slot.CREATE)],
)
def test_each_mode_waits_in_its_line(members: dict[str, Any], turn: Slot) -> None:
    request = request_of(**members)
    assert apply(job_of(request), READY, request).actions == (WaitSlot(turn),)


def test_segments_wait_to_be_created() -> None:
    request = request_of(**segments())
    assert apply(job_of(request), READY, request).actions == (WaitSlot(Slot.CREATE),)


@pytest.mark.parametrize(
    ("mode", "phase", "action"),
    [
        (Mode.STREAM, Phase.STREAMING, RunStream()),
        (Mode.SYNC, Phase.CALLING, RunSync()),
        (Mode.ASYNC, Phase.CREATING, MakeTask(find_first=False)),
    ],
)
def test_a_slot_claims_the_next_attempt_before_it_is_paid_for(mode: Mode, phase: Phase, action: object) -> None:
    change = apply(job_in(Phase.READY, mode=mode, attempt=3), SlotGranted())
    assert change.job.attempt == 4
    assert change.job.phase is phase
    assert change.job.attempt_started_ms == NOW
    assert change.actions == (action,)
    assert change.save


def test_after_a_wait_a_job_lines_up_again() -> None:
    change = apply(job_in(Phase.READY), RetryDue())
    assert change.actions == (WaitSlot(Slot.STREAM),)
    assert not change.save


def test_a_restored_job_that_waited_lines_up_again() -> None:
    assert apply(job_in(Phase.READY, mode=Mode.ASYNC), Begin(restored=True)).actions == (WaitSlot(Slot.CREATE),)


@pytest.mark.parametrize("phase", [Phase.STREAMING, Phase.CALLING])
@pytest.mark.parametrize("fact", [Begin(restored=True), AttemptCut()])
def test_a_cut_attempt_is_followed_by_another_one(phase: Phase, fact: Begin | AttemptCut) -> None:
    change = apply(job_in(phase, attempt=2), fact)
    assert change.job.phase is Phase.READY
    assert change.job.attempt == 2
    assert change.job.mode is job_in(phase).mode
    assert change.actions == (StopWork(), WaitSlot(Slot.STREAM))
    assert change.save


@pytest.mark.parametrize("phase", [Phase.STREAMING, Phase.CALLING])
def test_a_cut_attempt_goes_on_as_a_task_if_the_request_says_so(phase: Phase) -> None:
    request = request_of(on_interrupt="async")
    change = apply(job_in(phase, request), Begin(restored=True), request)
    assert change.job.mode is Mode.ASYNC
    assert change.actions == (StopWork(), WaitSlot(Slot.CREATE))


@pytest.mark.parametrize("phase", [Phase.STREAMING, Phase.CALLING])
def test_a_cut_attempt_is_the_end_if_the_request_says_so(phase: Phase) -> None:
    request = request_of(on_interrupt="fail")
    change = apply(job_in(phase, request), AttemptCut(), request)
    error = error_of(change)
    assert (error["code"], error["stage"], error["retryable"]) == ("interrupted", "analysis", True)
    assert [event.type for event in change.events] == ["interrupted"]


def test_an_interruption_carries_the_number_that_was_cut_off_also_when_the_next_is_claimed_with_it() -> None:
    cut = apply(job_in(Phase.STREAMING, attempt=2), AttemptCut())
    claimed = apply(cut.job, SlotGranted())
    assert claimed.job.attempt == 3
    assert published(claimed.job, cut.events[0], request_of()).attempt == 2


def test_a_restored_creation_takes_a_slot_and_looks_for_its_task_before_it_creates_one() -> None:
    change = apply(job_in(Phase.CREATING), Begin(restored=True))
    assert (change.actions, change.save) == ((WaitSlot(Slot.CREATE),), False)
    granted = apply(change.job, SlotGranted())
    assert granted.actions == (MakeTask(find_first=True),)
    assert granted.job == job_in(Phase.CREATING)


def test_a_restored_task_is_watched() -> None:
    change = apply(job_in(Phase.WATCHING), Begin(restored=True))
    assert change.actions == (WatchTask(),)
    assert not change.save


@pytest.mark.parametrize("phase", [phase for phase in Phase if phase is not Phase.ACCEPTED])
def test_a_job_under_way_is_not_begun_a_second_time(phase: Phase) -> None:
    change = apply(job_in(phase), Begin())
    assert change.actions == ()
    assert change.job == job_in(phase)
    assert change.completion is None
