"""When a task is polled next."""

from __future__ import annotations

import hashlib


def poll_interval(age_seconds: float, initial: float, longest: float, seed: str, polls: int) -> float:
    """Seconds until the next poll: a tenth of the task's age within [initial, longest], spread by a fifth either way.

    Young tasks are polled often because most end soon. The spread keeps tasks that began together apart.
    """
    base = min(max(age_seconds / 10, initial), longest)
    roll = hashlib.blake2b(f"{seed}/{polls}".encode(), digest_size=2).digest()
    return base * (0.8 + 0.4 * int.from_bytes(roll) / 65_535)
