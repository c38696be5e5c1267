"""What follows a change: a free slot is taken with it, a wait gives it back, and late actions are not begun."""

from __future__ import annotations

import pytest

from service.domain.change import CancelTask, Change, GetVideo, MakeTask, RunStream, Slot, WaitRetry, WaitSlot
from service.domain.facts import Begin, VideoReady
from service.domain.follow_up import gives_slot_back, granted_at_once, still_due, wanted_slot
from service.domain.job import Ending, Phase
from tests.domain.builders import NOW, POLICY, apply, job_in, request_of

READY = VideoReady("asset-9", 120.0, reused=False, began_ms=NOW)


def test_a_free_slot_makes_one_change_of_two() -> None:
    change = apply(job_in(Phase.ACCEPTED), READY)
    assert wanted_slot(change) is Slot.STREAM
    claimed = granted_at_once(change, request_of(), POLICY, NOW)
    assert (claimed.job.phase, claimed.job.attempt, claimed.save) == (Phase.STREAMING, 1, True)
    assert claimed.actions == (RunStream(),)
    assert [event.type for event in claimed.events] == ["asset_ready"]
    assert wanted_slot(claimed) is None


def test_a_restored_creation_that_gets_its_slot_at_once_writes_nothing() -> None:
    change = apply(job_in(Phase.CREATING), Begin(restored=True))
    granted = granted_at_once(change, request_of(), POLICY, NOW)
    assert (granted.save, granted.actions) == (False, (MakeTask(find_first=True),))


@pytest.mark.parametrize("phase", Phase)
def test_a_slot_is_held_only_by_work_at_the_platform(phase: Phase) -> None:
    job = job_in(phase)
    running = phase in (Phase.STREAMING, Phase.CALLING, Phase.CREATING)
    assert gives_slot_back(Change(job)) is not running
    assert gives_slot_back(Change(job, actions=(WaitRetry(1.0),)))
    assert gives_slot_back(Change(job, actions=(WaitSlot(Slot.CREATE),)))


def test_actions_of_a_job_that_has_moved_on_are_not_begun() -> None:
    decided = job_in(Phase.STREAMING)
    actions = (RunStream(),)
    assert still_due(decided, actions, decided) == actions
    assert still_due(decided, actions, decided.but(asset_id="another")) == actions
    assert still_due(decided, actions, decided.but(attempt=2)) == ()
    assert still_due(decided, actions, decided.but(phase=Phase.ENDED)) == ()
    assert still_due(job_in(Phase.ACCEPTED), (GetVideo(),), job_in(Phase.READY)) == ()


def test_a_creation_that_was_canceled_while_its_claim_was_written_creates_nothing() -> None:
    decided = job_in(Phase.CREATING)
    now = job_in(Phase.CANCELING, ending=Ending("canceled by request"))
    assert list(still_due(decided, (MakeTask(find_first=False),), now)) == [CancelTask()]
    assert list(still_due(decided, (MakeTask(find_first=True),), now)) == [MakeTask(find_first=True)]
