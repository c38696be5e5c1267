"""When a task is looked at next.

While nothing is known of how long such tasks take: after a tenth of its age. Where it is known: rarely before the end
is likely, often while it is, and ever more rarely afterwards. No look comes later than `longest`, so a change of status
is told in time, unless the platform's webhooks tell of ends.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from service.domain.policy import poll_interval, spread
from service.domain.polling.usual import Window

_PART = 0.12
"""How far apart looks are within a window, as a part (0 to 1) of what is left of it: where ends are evenly spread,
looks come as much closer as fewer tasks are left to be looked at. Half of the ends are noticed within a fortieth of the
window's width, with seven or eight looks in the window."""
_LEAST_LEFT = 0.1
"""What is left of a window counts as at least this part of its width: else its last looks would be ever closer."""
_LEAST = 0.75
"""Looks at a task whose end is due come closer than at a new one: this part of the initial time."""
_LATER = 4.0
"""Behind the window, the time between two looks grows by one second for this many seconds that the end is late."""
_FIRST_ASSET_LOOK = 0.25
"""Seconds."""


@dataclass(frozen=True, slots=True)
class PollTimes:
    """The settings of polling, in seconds."""

    initial: float
    longest: float
    with_webhooks: float | None = None
    """Between two looks while webhooks arrive; None while they do not."""


def next_look(age: float, window: Window | None, times: PollTimes, seed: str, polls: int) -> float:
    """Seconds until the next look at a task that was created `age` seconds ago and has not ended.

    `seed` and `polls` spread looks at tasks that began together, where that costs nothing.
    """
    if times.with_webhooks is not None:
        return max(times.with_webhooks, times.longest) * spread(seed, polls)
    if window is None:
        return poll_interval(age, times.initial, times.longest, seed, polls)
    if age < window.earliest:
        left = window.earliest - age
        return max(left / max(math.ceil(left / times.longest), 1), _least(times))
    if age < window.latest:
        width, left = window.latest - window.earliest, window.latest - age
        return min(max(_PART * max(left, width * _LEAST_LEFT), _least(times)), times.longest)
    overdue = _least(times) + (age - window.latest) / _LATER
    return min(overdue, times.longest) * spread(seed, polls)


def asset_look(age: float, longest: float) -> float:
    """Seconds until the next look at an asset that is not ready and has been waited for `age` seconds.

    A twelfth of that, from a quarter of a second on: of those that are ready within five seconds, half are noticed
    within 0.15 s and all within 0.45 s, after twenty looks at most.
    """
    return min(max(age / 12, _FIRST_ASSET_LOOK), longest)


def _least(times: PollTimes) -> float:
    return _LEAST * times.initial
