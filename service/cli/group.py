"""The group of all commands. Each command is imported only when it is called, so that short commands stay fast."""

from __future__ import annotations

import importlib
import os

import click

from service.cli.manual import epilog
from service.settings import CONFIG_VARIABLE
from service.version import VERSION

COMMANDS = {
    "run": ("service.cli.commands.run", "Run the service."),
    "emulator": ("service.cli.commands.emulator", "Run a local platform for development and tests."),
    "demo": ("service.cli.commands.demo", "Broker, emulator, service and requests on this machine."),
    "submit": ("service.cli.commands.submit", "Submit a video for analysis."),
    "backfill": ("service.cli.commands.backfill", "Send a request for each video of an archive."),
    "cancel": ("service.cli.commands.cancel", "Cancel a request."),
    "rerun": ("service.cli.commands.control.rerun", "Begin ended requests again."),
    "pause": ("service.cli.commands.control.pause", "Begin nothing new, in all processes."),
    "resume": ("service.cli.commands.control.resume", "End a pause."),
    "jobs": ("service.cli.commands.jobs", "Show the requests that have not ended."),
    "watch": ("service.cli.commands.watch", "Follow events as they are published."),
    "dlq": ("service.cli.commands.dead_letters.group", "List, show, redrive and discard dead letters."),
    "ingest": ("service.cli.commands.ingest", "Make requests of notifications and files."),
    "console": ("service.cli.commands.console.group", "Serve the web page of what is in the topics."),
    "doctor": ("service.cli.commands.doctor", "Check broker, topics, platform and file roots."),
    "topics": ("service.cli.commands.topics", "Create or check the topics."),
    "contracts": ("service.cli.commands.contracts", "Export or check schemas and the AsyncAPI document."),
    "completion": ("service.cli.commands.completion", "Print a script that completes commands in a shell."),
    "config": ("service.cli.commands.config", "Show the effective settings and where they come from."),
}


class LazyGroup(click.Group):
    """Imports a command's module when it is called; in each module its name is `command`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(COMMANDS[cmd_name][0]).command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands from `COMMANDS`, without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(
    cls=LazyGroup,
    epilog=epilog(
        "reelwire demo",
        'reelwire submit https://media.example.com/a.mp4 --prompt "Any incident?" --wait',
        "reelwire --config reelwire.toml doctor",
    ),
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.option("--config", type=click.Path(dir_okay=False), help=f"TOML file of settings (as {CONFIG_VARIABLE}).")
@click.option("--debug", is_flag=True, help="Show tracebacks and the logs of libraries.")
@click.version_option(VERSION, prog_name="reelwire", message="%(prog)s %(version)s")
def reelwire(config: str | None, debug: bool) -> None:
    """Kafka to video understanding: requests in, fragments, progress and completions out.

    Settings are environment variables with the prefix REELWIRE_, or a TOML file; `reelwire config` shows them all.
    """
    # `main` reads --debug itself, because errors may come before click has parsed the options.
    if config:
        os.environ[CONFIG_VARIABLE] = config
