"""`reelwire jobs`: what is in flight, from the jobs topic."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import click

from service.cli.exits import CommandError, Exit
from service.cli.manual import epilog
from service.cli.reading.pauses import pauses_in_force
from service.cli.reading.request_search import live_jobs, priority_of, request_of, tenant_of
from service.cli.views.output import elapsed, emit, json_option, note, say, table
from service.domain.job import Job, Phase
from service.domain.shares.pauses import Pause
from service.settings import Settings, load_settings

_WAITS_FOR = {
    Phase.ACCEPTED: "its video",
    Phase.READY: "its turn",
    Phase.STREAMING: "the platform",
    Phase.CALLING: "the platform",
    Phase.CREATING: "its task",
    Phase.WATCHING: "the platform",
    Phase.CANCELING: "the cancel",
    Phase.ENDED: "its completion",
}
_MAY_PAUSE = frozenset({Phase.ACCEPTED, Phase.READY, Phase.CREATING})
_COLUMNS = {
    "request_id": "request",
    "phase": "phase",
    "attempt": "attempt",
    "age_seconds": "age",
    "waits_for": "waits for",
    "task_id": "task",
    "partition": "partition",
    "key": "key",
    "tenant": "tenant",
}
_PHASES = [phase.value for phase in Phase if phase is not Phase.ENDED]


@click.group("jobs", epilog=epilog("reelwire jobs list", "reelwire jobs show cam7-918273"))
def command() -> None:
    """Show the requests that have not ended."""


@command.command(
    "list",
    epilog=epilog(
        "reelwire jobs list",
        "reelwire jobs list --phase watching --tenant acme",
        "reelwire jobs list --json | jq -r .request_id",
    ),
)
@click.option("--phase", type=click.Choice(_PHASES), help="Only jobs in this phase.")
@click.option("--tenant", help="Only jobs of this tenant.")
@click.option(
    "--limit", type=click.IntRange(min=1), default=100, show_default=True, help="List at most this many, the oldest."
)
@json_option
def list_jobs(phase: str | None, tenant: str | None, limit: int, as_json: bool) -> int:
    """List them, the oldest first: phase, attempt, age, task, partition, key, tenant, and what they wait for."""
    jobs, pauses = asyncio.run(_read(load_settings()))
    chosen = [job for job in jobs if phase in (None, job.phase) and tenant in (None, tenant_of(job))]
    shown = chosen[:limit]
    if as_json:
        for job in shown:
            emit(_row(job, pauses))
        return Exit.OK
    rows = []
    for job in shown:
        row = _row(job, pauses)
        row["age_seconds"] = elapsed(row["age_seconds"])
        rows.append([row[name] for name in _COLUMNS])
    table(list(_COLUMNS.values()), rows)
    if len(shown) < len(chosen):
        note(f"{len(shown)} of {len(chosen)}; more with --limit")
    elif not shown:
        note("no such job is in flight" if jobs else "nothing is in flight")
    return Exit.OK


@command.command("show", epilog=epilog("reelwire jobs show cam7-918273", "reelwire jobs show cam7-918273 --json"))
@click.argument("request_id")
@json_option
def show(request_id: str, as_json: bool) -> int:
    """Show one of them, with its request. Exit code 4 when it is not in flight."""
    jobs, pauses = asyncio.run(_read(load_settings(), request_id))
    if not jobs:
        message = f"{request_id} is not in flight; where it is says: reelwire doctor --request {request_id}"
        raise CommandError(message, Exit.REQUEST_FAILED)
    for job in jobs:
        details = _row(job, pauses) | _details(job)
        if as_json:
            emit(details | {"request": request_of(job)})
            continue
        for name, value in details.items():
            if value is not None:
                say(f"{name.replace('_', ' ')}: {elapsed(value) if name == 'age_seconds' else value}")
        for name, value in request_of(job).items():
            say(f"request {name}: {value}")
    return Exit.OK


async def _read(settings: Settings, request_id: str | None = None) -> tuple[list[Job], list[Pause]]:
    return await live_jobs(settings, request_id), await pauses_in_force(settings)


def _waits_for(job: Job, pauses: list[Pause]) -> str:
    tenant, priority = tenant_of(job), priority_of(job)
    if job.phase in _MAY_PAUSE and any(pause.scope.covers(tenant, priority) for pause in pauses):
        return "paused"
    return _WAITS_FOR[job.phase]


def _row(job: Job, pauses: list[Pause]) -> dict[str, Any]:
    return {
        "request_id": job.request_id,
        "run": job.run,
        "phase": job.phase.value,
        "attempt": job.attempt,
        "age_seconds": max(0, round(time.time() - job.accepted_ms / 1000)),
        "waits_for": _waits_for(job, pauses),
        "task_id": job.task_id,
        "partition": job.partition,
        "key": None if job.key is None else job.key.decode("utf-8", "replace"),
        "tenant": tenant_of(job),
    }


def _details(job: Job) -> dict[str, Any]:
    return {
        "offset": job.offset,
        "mode": None if job.mode is None else job.mode.value,
        "asset_id": job.asset_id,
        "batch_id": job.batch_id,
        "task_status": job.task_status,
        "video_seconds": job.duration,
        "failures": job.failures or None,
        "ending": None if job.ending is None else job.ending.reason,
    }
