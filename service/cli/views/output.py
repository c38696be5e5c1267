"""How commands speak: tables and colours for people, JSON lines for programs."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

import click
import orjson
from rich.console import Console
from rich.markup import escape
from rich.table import Table

json_option = click.option("--json", "as_json", is_flag=True, help="JSON for programs, one object a line.")


def console(*, stderr: bool = False) -> Console:
    """A console that wraps only on a terminal, so that pipes and logs get whole lines."""
    stream = sys.stderr if stderr else sys.stdout
    return Console(file=stream, highlight=False, soft_wrap=not stream.isatty())


def emit(value: object) -> None:
    """One JSON object on one line of stdout, at once."""
    sys.stdout.write(orjson.dumps(value, default=str, option=orjson.OPT_NON_STR_KEYS).decode() + "\n")
    sys.stdout.flush()


def note(text: str) -> None:
    """A line for people on stderr, out of the way of results."""
    click.echo(text, err=True)


def table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table on stdout: drawn on a terminal, separated by tabs in a pipe."""
    if not sys.stdout.isatty():
        for row in rows:
            click.echo("\t".join("" if cell is None else str(cell) for cell in row))
        return
    drawn = Table(*headings, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        drawn.add_row(*("" if cell is None else escape(str(cell)) for cell in row))
    console().print(drawn)
