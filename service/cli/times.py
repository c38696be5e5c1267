"""Moments, lengths of time and rates as they are typed on a command line."""

from __future__ import annotations

import re
import time

import click

from contracts.instants import parse_rfc3339

_DURATION = re.compile(r"(?=[0-9])(?:([0-9]{1,9})d)?(?:([0-9]{1,9})h)?(?:([0-9]{1,9})m(?:in)?)?(?:([0-9]{1,9})s)?")
_UNITS = (86_400, 3_600, 60, 1)
_RATE = re.compile(r"([0-9]+(?:\.[0-9]+)?)(?:/(s|min|h))?")
_SLOWEST, _FASTEST = 1 / 86_400, 1_000_000
_PER = {None: 1, "s": 1, "min": 60, "h": 3_600}


def duration_seconds(text: str) -> int | None:
    """The seconds of `90s`, `30m`, `2h`, `1d` or `1h30m`; None for anything else."""
    match = _DURATION.fullmatch(text)
    if match is None:
        return None
    return sum(int(count) * unit for count, unit in zip(match.groups(), _UNITS, strict=True) if count)


class Moment(click.ParamType[float]):
    """RFC 3339, or a length of time from now: ahead, or back. Seconds since the epoch."""

    name = "moment"

    def __init__(self, *, ahead: bool) -> None:
        self._ahead = ahead

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Raises a usage error that says what can be written."""
        if isinstance(value, float):
            return value
        text, now = str(value), time.time()
        seconds = duration_seconds(text)
        if seconds is not None:
            return now + seconds if self._ahead else now - seconds
        try:
            at = parse_rfc3339(text).timestamp()
        except ValueError:
            where = "from now" if self._ahead else "ago"
            self.fail(
                f"{text}: write RFC 3339 with an offset, such as 2026-03-04T05:00:00Z, or how long {where}: 90s, 30m, "
                "2h, 1d",
                param,
                ctx,
            )
        if self._ahead and at <= now:
            self.fail(f"{text} is past", param, ctx)
        return at


class Rate(click.ParamType[float]):
    """`5`, `5/s`, `30/min` or `100/h`. How many a second."""

    name = "rate"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Raises a usage error that says what can be written."""
        match = _RATE.fullmatch(str(value))
        if match is None or not float(match[1]):
            self.fail(f"{value}: write a number of requests and a unit, such as 5/s, 30/min or 100/h", param, ctx)
        rate = float(match[1]) / _PER[match[2]]
        if not _SLOWEST <= rate <= _FASTEST:
            self.fail(f"{value}: write a rate between one a day (0.042/h) and {_FASTEST:,}/s", param, ctx)
        return rate
