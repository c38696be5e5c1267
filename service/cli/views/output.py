"""Output of commands: tables and colours on a terminal, JSON lines for programs."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Sequence

import click
import orjson
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from service.cli.words import visible

_WHOLE_CHARS = 12
_STEERING = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
"""Control characters that JSON leaves as they are, and marks that turn the direction of text. Only texts hold them."""

json_option = click.option("--json", "as_json", is_flag=True, help="JSON for programs, one object a line.")


def console(*, stderr: bool = False) -> Console:
    """A console that wraps lines on a terminal only; in pipes and files each line stays whole."""
    stream = sys.stderr if stderr else sys.stdout
    return Console(file=stream, highlight=False, soft_wrap=not stream.isatty())


def emit(value: object) -> None:
    """Write one JSON object as a line to stdout, and flush."""
    sys.stdout.write(json_text(value, orjson.OPT_NON_STR_KEYS) + "\n")
    sys.stdout.flush()


def json_text(value: object, option: int = 0) -> str:
    """JSON in which whatever steers a terminal is written as an escape, which readers of JSON undo."""
    return _STEERING.sub(
        lambda found: f"\\u{ord(found[0]):04x}", orjson.dumps(value, default=str, option=option).decode()
    )


def note(text: str) -> None:
    """Write a line for people to stderr, so that stdout holds results only."""
    click.echo(visible(text), err=True)


def say(text: str) -> None:
    """Write text for people to stdout, and flush. Control characters are shown as escapes."""
    click.echo(visible(text))
    sys.stdout.flush()


def result(text: str) -> None:
    """Write a result for programs to stdout, as it is in UTF-8, and flush. A line feed is added if it has none."""
    click.echo(text.encode(), nl=not text.endswith("\n"))
    sys.stdout.flush()


def elapsed(seconds: float) -> str:
    """A length of time in its two largest units."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"


def table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a table to stdout: aligned and within the width of a terminal, else its lines separated by tabs.

    On a terminal columns that hold nothing are left out, short ones stay whole, and long ones are folded.
    """
    cells = [["" if cell is None else str(cell) for cell in row] for row in rows]
    if not sys.stdout.isatty():
        for line in ([*headings], *cells):
            say("\t".join(cell.replace("\t", " ").replace("\n", " ") for cell in line))
        return
    drawn = Table(box=None, pad_edge=False, header_style="bold")
    kept = [column for column in range(len(headings)) if any(row[column] for row in cells)]
    for column in kept:
        short = max(len(row[column]) for row in cells) <= _WHOLE_CHARS
        drawn.add_column(headings[column], no_wrap=short, overflow="fold", min_width=len(headings[column]))
    for row in cells:
        drawn.add_row(*(escape(visible(row[column])) for column in kept))
    console().print(drawn)
