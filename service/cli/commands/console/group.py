"""`reelwire console`: the web page of what is in the topics."""

from __future__ import annotations

import time

import click
import uvloop

from service.cli.exits import Exit
from service.cli.manual import epilog
from service.cli.views.output import emit, json_option, note, result
from service.console.stream_token import LONGEST_SECONDS, Grant, sign
from service.errors import SettingsError
from service.memory import give_memory_back, spare_full_collections
from service.settings import Settings, load_settings
from service.telemetry.log import configure_logging

_LONGEST_MINUTES = LONGEST_SECONDS // 60


@click.group(
    "console",
    invoke_without_command=True,
    epilog=epilog(
        "reelwire console",
        "REELWIRE_CONSOLE__PORT=0 reelwire console",
        "REELWIRE_CONSOLE__TOKEN_FILE=/run/secrets/console reelwire console",
    ),
)
@click.pass_context
def command(context: click.Context) -> int:
    """Serve the web page until SIGTERM or Ctrl-C: live requests and their text, ends, costs, dead letters.

    It reads the topics with its own connections and is in no consumer group. Redriving, discarding and canceling are
    off until REELWIRE_CONSOLE__TOKEN is set. Whoever reaches its address can read everything it shows.
    """
    if context.invoked_subcommand is not None:
        return Exit.OK
    settings = load_settings()
    configure_logging(settings)
    from service.console.server import serve

    spare_full_collections()
    give_memory_back()
    uvloop.run(serve(settings))
    return Exit.OK


@command.command(
    "token",
    epilog=epilog(
        "reelwire console token --request cam7-918273",
        "reelwire console token --tenant acme --minutes 60 --json",
    ),
)
@click.option("--request", "request_id", metavar="ID", help="For the events of this request.")
@click.option("--tenant", help="For the events of every request of this tenant.")
@click.option(
    "--minutes",
    type=click.IntRange(1, _LONGEST_MINUTES),
    default=15,
    show_default=True,
    help="How long it is valid.",
)
@json_option
def token(request_id: str | None, tenant: str | None, minutes: int, as_json: bool) -> int:
    """Print a token with which a browser may read /stream/ID, signed with REELWIRE_CONSOLE__STREAM_SECRET."""
    if (request_id is None) == (tenant is None):
        raise click.UsageError("say for what: either --request or --tenant")
    until = time.time() + minutes * 60
    signed = sign(_secret(load_settings()), Grant(until, request_id, tenant))
    if as_json:
        emit({"token": signed, "expires_at": int(until), "request_id": request_id, "tenant": tenant})
    else:
        result(signed)
        note(f"valid for {minutes} min")
    return Exit.OK


def _secret(settings: Settings) -> str:
    secret = settings.console.signing_secret()
    if secret is None:
        raise SettingsError("REELWIRE_CONSOLE__STREAM_SECRET: is not set; tokens are signed with it")
    return secret
