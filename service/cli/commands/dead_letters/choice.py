"""The options that choose dead letters, the same for every subcommand of `dlq`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeVar

import click

from contracts.codes import DeadLetterCode
from contracts.instants import parse_rfc3339
from service.cli.reading.dead_letter import Filter, place_of

F = TypeVar("F", bound=Callable[..., Any])


def _since(_context: click.Context, _option: click.Parameter, value: str | None) -> str | None:
    if value is None:
        return None
    try:
        at: datetime = parse_rfc3339(value)
    except ValueError:
        raise click.BadParameter("write RFC 3339 with an offset, such as 2026-03-04T05:00:00Z") from None
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def filter_options(function: F) -> F:
    """`--code`, `--key` and `--since`."""
    codes = [code.value for code in DeadLetterCode]
    for option in (
        click.option("--since", callback=_since, metavar="RFC3339", help="Only what failed since then."),
        click.option("--key", help="Only records with this key."),
        click.option("--code", "codes", multiple=True, type=click.Choice(codes), help="Only this code."),
    ):
        function = option(function)
    return function


def choice_options(function: F) -> F:
    """The filters, and `--place` and `--all`: for commands that must be told which ones."""
    for option in (
        click.option("--all", "everything", is_flag=True, help="Needed when nothing else says which ones."),
        click.option(
            "--place", "places", multiple=True, metavar="PARTITION:OFFSET", help="Only the one at this place."
        ),
    ):
        function = option(function)
    return filter_options(function)


def chosen(typed: dict[str, Any], max_redrives: int | None = None) -> Filter:
    """The filter that `choice_options` describe. Raises `UsageError` when none of them was given."""
    if not any(typed[name] for name in ("codes", "key", "since", "places", "everything")):
        raise click.UsageError("say which ones: --code, --key, --since, --place, or --all")
    try:
        places = frozenset(place_of(place) for place in typed["places"])
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    return Filter(frozenset(typed["codes"]), typed["key"], typed["since"], places, max_redrives)
