"""`reelwire resume`: end a pause."""

from __future__ import annotations

import asyncio
import time

import click

from service.cli.commands.control.pause import as_members, options_of, scope_of, scope_options, write
from service.cli.exits import Exit
from service.cli.manual import epilog
from service.cli.reading.pauses import known_pauses
from service.cli.views.output import emit, json_option, note
from service.domain.shares.pauses import Pause, Scope
from service.settings import Settings, load_settings


@click.command(
    "resume",
    epilog=epilog(
        "reelwire resume",
        "reelwire resume --tenant acme",
        "reelwire resume --intake",
        "reelwire resume --all",
    ),
)
@scope_options
@click.option("--all", "everything", is_flag=True, help="End every pause, of work and intake.")
@json_option
def command(intake: bool, tenant: str | None, priority: str | None, everything: bool, as_json: bool) -> int:
    """End the pause that `reelwire pause` with the same options has begun. What waited goes on within 2 s.

    A pause of another scope stays: work of a paused tenant waits on when the pause of all work is over. With --json
    the pauses that have ended.
    """
    scope = scope_of(intake=intake, tenant=tenant, priority=priority)
    if everything and scope != Scope():
        raise click.UsageError("--all ends every pause; give it without other options")
    ended, left = asyncio.run(_resume(load_settings(), None if everything else scope))
    if as_json:
        for pause in ended:
            emit(as_members(pause))
        return Exit.OK
    for pause in ended:
        note(f"resumed: {pause.scope}")
    if not ended:
        note("nothing was paused" if everything or not left else f"{scope} was not paused")
    for pause in left:
        note(f"still paused: {pause.scope}; end it with: {' '.join(['reelwire resume', *options_of(pause.scope)])}")
    return Exit.OK


async def _resume(settings: Settings, scope: Scope | None) -> tuple[list[Pause], list[Pause]]:
    """The pauses that were in force and have ended, and those that are left. `scope` None: every pause."""
    known = await known_pauses(settings)
    chosen = [pause for pause in known if scope in (None, pause.scope)]
    if chosen:
        await write(settings, {pause.scope: None for pause in chosen})
    now_ms = int(time.time() * 1000)
    return (
        [pause for pause in chosen if pause.holds_at(now_ms)],
        [pause for pause in known if pause not in chosen and pause.holds_at(now_ms)],
    )
