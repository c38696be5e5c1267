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

_DENSITY = 0.095
"""How far apart looks are within a window, as a part of its width when that is all still to come. Where ends are evenly
spread over the window, the mean end is noticed after a third of this part, and with seven looks in the window. Looks
come closer towards the end of the window, where fewer tasks are left to be looked at."""
_LEAST_PART = 0.1
_FIRST_ASSET_LOOK = 0.25


@dataclass(frozen=True, slots=True)
class PollTimes:
    """The settings of polling, in seconds. `hooked` is set while webhooks arrive: the time between two looks then."""

    initial: float
    longest: float
    hooked: float | None = None


def next_look(age: float, window: Window | None, times: PollTimes, seed: str, polls: int) -> float:
    """Seconds until the next look at a task that was created `age` seconds ago and has not ended.

    `seed` and `polls` spread looks at tasks that began together, where that costs nothing.
    """
    if times.hooked is not None:
        return max(times.hooked, times.longest) * spread(seed, polls)
    if window is None:
        return poll_interval(age, times.initial, times.longest, seed, polls)
    if age < window.earliest:
        left = window.earliest - age
        return max(left / max(math.ceil(left / times.longest), 1), _least(times))
    if age < window.latest:
        width, left = window.latest - window.earliest, window.latest - age
        gap = _DENSITY * math.sqrt(width * max(left, width * _LEAST_PART))
        return min(max(gap, _least(times)), times.longest)
    overdue = _least(times) + (age - window.latest) / 5
    return min(overdue, times.longest) * spread(seed, polls)


def asset_look(age: float, longest: float) -> float:
    """Seconds until the next look at an asset that is not ready and has been waited for `age` seconds.

    A twelfth of that, from a quarter of a second on: of those that are ready within five seconds, half are noticed
    within 0.15 s and all within 0.45 s, after twenty looks at most.
    """
    return min(max(age / 12, _FIRST_ASSET_LOOK), longest)


def _least(times: PollTimes) -> float:
    """A task whose end is due is worth looks twice as close as a new one."""
    return times.initial / 2
