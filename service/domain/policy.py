"""The numbers that decisions are made with, and how long to wait: before a call is repeated, and between two polls."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from service.domain.result.cost import Prices


@dataclass(frozen=True, slots=True)
class Policy:
    """Limits of one process, from its settings."""

    max_attempts: int = 4
    """How often a request may be paid for, and how often its work may fail by an error of this program."""
    patience_ms: int = 900_000
    """How long a platform that answers with errors is waited for, per job."""
    task_patience_ms: int = 86_400_000
    """How long is waited without any error: for a task whose status stands still, for quota, a key or a connection."""
    retry_initial_seconds: float = 1
    retry_max_seconds: float = 60
    prices: Prices = field(default_factory=Prices)


def backoff_seconds(policy: Policy, failures: int, seed: str, wish: float | None = None) -> float:
    """How long to wait after the n-th failure in a row: doubling, spread over its upper half by `seed`.

    Never shorter than `wish`, the platform's `Retry-After`, which was cut to a day when it was read
    (`platform/answers.py`). An attempt cuts the result to the patience that it has left (`attempts.py`).
    """
    ceiling = min(policy.retry_initial_seconds * 2.0 ** min(failures - 1, 30), policy.retry_max_seconds)
    roll = hashlib.blake2b(f"{seed}/{failures}".encode(), digest_size=2).digest()
    spread = ceiling * (0.5 + int.from_bytes(roll) / 131_070)
    return max(spread, wish or 0.0)


def poll_interval(age_seconds: float, initial: float, longest: float, seed: str, polls: int) -> float:
    """Seconds until the next poll: a tenth of the task's age within [initial, longest], spread by a fifth either way.

    For tasks of which nothing is known yet (`polling.schedule` decides). Young tasks are polled often because most end
    soon. The spread keeps tasks that began together apart.
    """
    return min(max(age_seconds / 10, initial), longest) * spread(seed, polls)


def spread(seed: str, polls: int) -> float:
    """A factor of 0.8 to 1.2, the same for the same poll."""
    roll = hashlib.blake2b(f"{seed}/{polls}".encode(), digest_size=2).digest()
    return 0.8 + 0.4 * int.from_bytes(roll) / 65_535
