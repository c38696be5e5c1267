"""One fact applied to one job in memory: its new state, the records that say so, and what follows."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from service.domain.change import Action, Change, Event, StopWork, WaitSlot
from service.domain.facts import Fact, SlotGranted
from service.domain.job import Job, Phase
from service.domain.transition import transition
from service.engine.job.job_metrics import count_setbacks, tell
from service.failpoints import Point, failpoint
from service.kafka.ports import OutRecord

if TYPE_CHECKING:
    from service.engine.context import Context
    from service.engine.job.live_job import LiveJob

_NEEDS_TURN = frozenset({Phase.STREAMING, Phase.CALLING, Phase.CREATING})


@dataclass(frozen=True, slots=True)
class Settled:
    """`records` are to become durable together, then `actions` begin. With a `completion` its record is the first."""

    job: Job
    records: list[OutRecord]
    actions: Sequence[Action]
    completion: Event | None


def settle(live: LiveJob, fact: Fact, extra: Sequence[OutRecord], context: Context) -> Settled:
    """Apply `fact`. Work that the change ends is dropped at once; everything else waits until it is durable."""
    now_ms = context.now_ms()
    before = live.job.phase
    change = _changed(live, fact, context, now_ms)
    job, completion = change.job, change.completion
    # Built before anything changes: a record that can't be built leaves the job as it was.
    records = [event_record(live, job, event, context, now_ms) for event in change.events]
    records.extend(extra)
    if completion is not None:
        ending = event_record(live, job, completion, context, now_ms)
        records = [ending, *records, context.records.tombstone(job)]
    elif change.save:
        records.append(context.records.job(job))
    live.job = job
    for event in change.events:
        tell(job, event)
    count_setbacks(context.metrics, fact, change)
    if job.phase is not before:
        context.metrics.jobs.labels(before).dec()
        context.metrics.jobs.labels(job.phase).inc()
    actions = [action for action in change.actions if not isinstance(action, StopWork)]
    if len(actions) < len(change.actions):
        stop_work(live, context)
    if job.phase is Phase.CANCELING and live.wake is not None:
        live.wake.set()
    if job.phase not in _NEEDS_TURN:
        give_back(live, context)
    return Settled(job, records, actions, completion)


def event_record(live: LiveJob, job: Job, event: Event, context: Context, now_ms: int) -> OutRecord:
    """The record of an event of this job."""
    return context.records.event(job, event, live.request, now_ms / 1000)


def _changed(live: LiveJob, fact: Fact, context: Context, now_ms: int) -> Change:
    """The change of one fact, and of the turn that may be had at once: one record instead of two."""
    change = transition(live.job, live.request, fact, context.policy, now_ms)
    wait = next((action for action in change.actions if isinstance(action, WaitSlot)), None)
    if wait is None:
        return change
    if live.turn is not wait.turn or context.turns.closed:
        give_back(live, context)
        if not context.turns.try_take(wait.turn):
            return change
        live.turn = wait.turn
    claimed = transition(change.job, live.request, SlotGranted(), context.policy, now_ms)
    failpoint(Point.BEFORE_CLAIM)
    others = tuple(action for action in change.actions if action is not wait)
    return Change(claimed.job, change.events + claimed.events, others + claimed.actions, save=True)


def stop_work(live: LiveJob, context: Context) -> None:
    """Drop what is under way, but for the work that is reporting its own end just now."""
    work, live.work = live.work, None
    if work is not None and work is not asyncio.current_task():
        work.cancel()
    context.poller.forget(live)
    if live.waits is not None:
        context.turns.leave(live.waits, live)
        live.waits = None
    if live.retry is not None:
        live.retry.cancel()
        live.retry = None


def give_back(live: LiveJob, context: Context) -> None:
    """Return the turn the job holds, if any."""
    if live.turn is not None:
        turn, live.turn = live.turn, None
        # Later, not now: who is served next applies facts of its own.
        asyncio.get_running_loop().call_soon(context.turns.give_back, turn)
