"""When a task is looked at next."""

from __future__ import annotations

import hashlib


def look_interval(age_seconds: float, initial: float, longest: float, seed: str, looks: int) -> float:
    """Seconds until the next look: a tenth of the task's age within [initial, longest], spread by a fifth either way.

    Young tasks are looked at often because most end soon; the spread keeps tasks that began together apart.
    """
    base = min(max(age_seconds / 10, initial), longest)
    roll = hashlib.blake2b(f"{seed}/{looks}".encode(), digest_size=2).digest()
    return base * (0.8 + 0.4 * int.from_bytes(roll) / 65_535)
