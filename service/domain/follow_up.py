"""Rules on what follows a change: the slot it may take at once or must give back, and the actions that still apply.

They are called by the engine (`service.engine.job.loop`) and by the model that the property tests run.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from service.domain.change import Action, CancelTask, Change, MakeTask, Slot, WaitRetry, WaitSlot
from service.domain.facts import SlotGranted
from service.domain.job import Job, Phase
from service.domain.policy import Policy
from service.domain.transition import transition

if TYPE_CHECKING:
    from contracts.requests import AnalyzeRequest


_NEEDS_SLOT = frozenset({Phase.STREAMING, Phase.CALLING, Phase.CREATING})


def wanted_slot(change: Change) -> Slot | None:
    """The slot that the job waits for after this change. None: it waits for none."""
    return next((action.slot for action in change.actions if isinstance(action, WaitSlot)), None)


def granted_at_once(change: Change, request: AnalyzeRequest, policy: Policy, now_ms: int) -> Change:
    """`change` together with the claim of the next attempt, for a slot that was free: one record instead of two."""
    claimed = transition(change.job, request, SlotGranted(), policy, now_ms)
    others = tuple(action for action in change.actions if not isinstance(action, WaitSlot))
    return Change(
        claimed.job,
        change.events + claimed.events,
        others + claimed.actions,
        save=change.save or claimed.save,
        completion=claimed.completion,
    )


def gives_slot_back(change: Change) -> bool:
    """True if the job must release its slot: it waits, or its phase needs none."""
    waits = any(isinstance(action, WaitSlot | WaitRetry) for action in change.actions)
    return waits or change.job.phase not in _NEEDS_SLOT


def still_due(decided: Job, actions: Sequence[Action], now: Job) -> Sequence[Action]:
    """The actions of a durable change that are still to begin. `decided`: the job after the change; `now`: as it is.

    Facts that came while the change was written may have moved the job on; then its actions no longer apply. One
    exception: a job that was canceled while its creation was written. A first creation becomes a `CancelTask`, because
    no task can exist yet; a repeated one must still be looked for.
    """
    if decided.phase is now.phase and decided.attempt == now.attempt:
        return actions
    if decided.phase is Phase.CREATING and now.phase is Phase.CANCELING:
        return [CancelTask() if action == MakeTask(find_first=False) else action for action in actions]
    return ()
