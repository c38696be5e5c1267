"""What the rest of an archive needs: minutes of video, money and time; and what that rests on. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

from service.backfill.state import Counts
from service.domain.result.cost import Prices, estimated_cost

GIGABYTE = 1_000_000_000
ENOUGH = 20
"""Completions from which what was measured counts, and no longer what was assumed."""
MINUTES_PER_GB = 25.0
"""A video of 5.3 Mbit/s, as many cameras make in 1080p."""


@dataclass(frozen=True, slots=True)
class Assumptions:
    """What is not known before videos have been looked at."""

    minutes_per_gb: float | None = None
    """Told by the user; None: `MINUTES_PER_GB`."""
    window_minutes: float | None = None
    """Of the part that is analysed of each video; None: all of it."""
    definitions: int = 1
    """How often each minute is billed: once, or for each segment definition."""
    prices: Prices = field(default_factory=Prices)


@dataclass(frozen=True, slots=True)
class Need:
    """Of objects that have not ended yet. None: nothing can be said."""

    minutes: float
    cost: float | None
    basis: str
    """In words: what both numbers rest on."""


def need(objects: int, size: int, done: Counts, assumed: Assumptions) -> Need:
    """What `objects` of together `size` bytes need. What has completed so far tells more than any assumption."""
    if done.measured >= ENOUGH and done.measured_bytes > 0 and assumed.minutes_per_gb is None:
        minutes = size * done.minutes / done.measured_bytes
        per_gb = done.minutes / done.measured_bytes * GIGABYTE
        basis = f"{per_gb:.4g} min per GB, measured in {done.measured:,} completions"
    else:
        ratio = MINUTES_PER_GB if assumed.minutes_per_gb is None else assumed.minutes_per_gb
        minutes = size / GIGABYTE * ratio
        basis = f"{ratio:g} min per GB, " + (
            "assumed; --minutes-per-gb changes it" if assumed.minutes_per_gb is None else "as told"
        )
        if assumed.window_minutes is not None:
            minutes = min(minutes, objects * assumed.window_minutes)
        minutes *= assumed.definitions
    if done.priced >= ENOUGH and done.priced_bytes > 0:
        return Need(minutes, size * done.cost / done.priced_bytes, f"{basis}; cost as of {done.priced:,} completions")
    prices = Prices(per_minute=assumed.prices.per_minute)
    cost = estimated_cost(prices, minutes, None)
    if cost is None:
        return Need(minutes, None, f"{basis}; no price, see REELWIRE_COST__PER_MINUTE")
    tokens = "" if assumed.prices.per_1000_output_tokens is None else ", without the generated text"
    return Need(minutes, cost, f"{basis}; {prices.per_minute:g} a minute{tokens}")


def seconds_left(open_or_unsent: int, ended: int, seconds: float, unsent: int, rate: float | None) -> float | None:
    """The time until all have ended, when `ended` did so in the last `seconds`; at least the time to send the rest.

    None before anything has ended, unless the rate says something.
    """
    at_least = unsent / rate if rate else None
    if ended == 0 or seconds <= 0:
        return at_least
    return max(open_or_unsent * seconds / ended, at_least or 0.0)
