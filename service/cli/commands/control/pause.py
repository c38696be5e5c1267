"""`reelwire pause`: begin nothing new, in all processes, until it is resumed."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable
from typing import Any, TypeVar

import click

from contracts.instants import rfc3339
from contracts.patterns import TENANT
from service.cli.exits import Exit
from service.cli.manual import epilog
from service.cli.reading.cluster import partition_counts, producer, send
from service.cli.reading.pauses import known_pauses
from service.cli.times import Moment
from service.cli.views.output import emit, json_option, note, table
from service.domain.shares.pauses import Pause, Scope
from service.domain.shares.turns import PRIORITIES
from service.kafka.control.records import PARTITION, encode_pause, key_of
from service.settings import Settings, load_settings

F = TypeVar("F", bound=Callable[..., Any])


def scope_options(command: F) -> F:
    """The options that say what is paused or resumed."""
    command = click.option("--priority", type=click.Choice(PRIORITIES), help="Only requests with this priority.")(
        command
    )
    command = click.option("--tenant", help="Only requests of this tenant.")(command)
    return click.option("--intake", is_flag=True, help="The taking of records from the requests topic, not the work.")(
        command
    )


def scope_of(*, intake: bool, tenant: str | None, priority: Any) -> Scope:
    """What the options name. Raises a usage error when they exclude each other."""
    if intake and (tenant is not None or priority is not None):
        raise click.UsageError(
            "--intake goes without --tenant and --priority: records are taken in order, whatever is in them"
        )
    if tenant is not None and re.fullmatch(TENANT.regex, tenant) is None:
        raise click.UsageError(f"--tenant {tenant}: must be {TENANT.words}")
    return Scope(tenant, priority, intake)


@click.command(
    "pause",
    epilog=epilog(
        "reelwire pause",
        "reelwire pause --priority low --until 2h",
        "reelwire pause --tenant acme",
        "reelwire pause --intake --until 30m",
        "reelwire pause --list",
    ),
)
@scope_options
@click.option("--until", type=Moment(ahead=True), metavar="RFC3339|DURATION",
              help="End it by itself: a moment, or how long, such as 30m or 2h.")  # fmt: skip
@click.option("--list", "listed", is_flag=True, help="Pause nothing: show what is paused.")
@json_option
def command(
    intake: bool, tenant: str | None, priority: str | None, until: float | None, listed: bool, as_json: bool
) -> int:
    """Pause all work, or that of a tenant or with a priority: nothing of it is begun or uploaded, so nothing is paid.

    What runs is let end, and tasks that exist are followed. All processes obey within 2 s, also after a restart, until
    `reelwire resume` or --until. Requests are still accepted, but for --intake.
    """
    scope = scope_of(intake=intake, tenant=tenant, priority=priority)
    settings = load_settings()
    if listed:
        if scope != Scope() or until is not None:
            raise click.UsageError("--list shows everything that is paused; give it without other options")
        show(asyncio.run(_in_force(settings)), as_json=as_json)
        return Exit.OK
    now_ms = int(time.time() * 1000)
    pause = Pause(scope, now_ms, None if until is None else int(until * 1000))
    asyncio.run(write(settings, {scope: pause}))
    if as_json:
        emit(as_members(pause))
    else:
        end = "" if pause.until_ms is None else f" until {rfc3339(pause.until_ms / 1000)}"
        note(f"paused: {scope}{end}; end it with: {' '.join(['reelwire resume', *options_of(scope)])}")
    return Exit.OK


async def _in_force(settings: Settings) -> list[Pause]:
    now_ms = int(time.time() * 1000)
    return [pause for pause in await known_pauses(settings) if pause.holds_at(now_ms)]


async def write(settings: Settings, changes: dict[Scope, Pause | None]) -> None:
    """Write what is paused, or that it is not, and wait until it is durable. Raises `CommandError`."""
    topic = settings.topics.ledger
    await partition_counts(settings, [topic])  # names a topic that is not there
    async with producer(settings) as client:
        for scope, pause in changes.items():
            value = None if pause is None else encode_pause(pause)
            await send(settings, client, topic, key=key_of(scope), value=value, partition=PARTITION)


def show(pauses: list[Pause], *, as_json: bool) -> None:
    """Show what is paused."""
    if as_json:
        for pause in pauses:
            emit(as_members(pause))
        return
    rows = [[str(pause.scope), *(as_members(pause)[name] for name in ("since", "until"))] for pause in pauses]
    if rows:
        table(["paused", "since", "until"], rows)
    else:
        note("nothing is paused")


def as_members(pause: Pause) -> dict[str, Any]:
    """A pause for programs."""
    return {
        "paused": "intake" if pause.scope.intake else "work",
        "tenant": pause.scope.tenant,
        "priority": pause.scope.priority,
        "since": rfc3339(pause.since_ms / 1000),
        "until": None if pause.until_ms is None else rfc3339(pause.until_ms / 1000),
    }


def options_of(scope: Scope) -> list[str]:
    """The options that name this."""
    if scope.intake:
        return ["--intake"]
    named = (("--tenant", scope.tenant), ("--priority", scope.priority))
    return [word for option, value in named if value is not None for word in (option, value)]
