"""`reelwire contracts`: the JSON Schemas and the AsyncAPI document, made from the models."""

from __future__ import annotations

from pathlib import Path

import click

from contracts.generate import GENERATED
from contracts.generate import check as drifted
from contracts.generate import export as write
from service.cli.exits import Exit
from service.cli.manual import epilog
from service.cli.views.output import note


@click.group("contracts", epilog=epilog("reelwire contracts check"))
def command() -> None:
    """Export or check the schemas of requests and events, and the AsyncAPI document."""


@command.command(
    "export",
    epilog=epilog(
        "reelwire contracts export",
        "reelwire contracts export /tmp/schemas",
    ),
)
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path), default=GENERATED)
def export(directory: Path) -> int:
    """Write the schemas and the AsyncAPI document to DIRECTORY."""
    write(directory)
    note(f"written to {directory}")
    return Exit.OK


@command.command(
    "check",
    epilog=epilog(
        "reelwire contracts check",
    ),
)
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path), default=GENERATED)
def check(directory: Path) -> int:
    """Compare DIRECTORY with the models. Exit code 1 when they differ."""
    differences = drifted(directory)
    for difference in differences:
        click.echo(difference)
    if differences:
        note(f"{directory} differs from the models; run: reelwire contracts export {directory}")
        return Exit.FAILURE
    note(f"{directory} agrees with the models")
    return Exit.OK
