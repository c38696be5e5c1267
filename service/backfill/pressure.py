"""When to hold back, because the service is behind; and in which words. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """How far the service may be behind."""

    max_open: int = 2_000
    """Requests of this archive that were sent and have not ended. Quota and pauses show here: nothing ends."""
    max_lag: int = 1_000
    """Requests of anybody in the topic that the service has not read."""


def reason_to_wait(
    limits: Limits, count: int, waiting: int, unread: int | None, members: int | None, trouble: str | None = None
) -> str | None:
    """Why `count` more requests are not sent now; None: they may be.

    `waiting` is how many of ours have not ended, `unread` how many the service has not read (None: nobody can tell),
    `members` how many processes the service has (None: not known), `trouble` why nobody can tell.
    """
    behind = f"{waiting:,} requests of this archive have not ended (--max-open {limits.max_open})"
    if unread is None:
        return "Kafka does not say how far the service has read" + (f": {trouble}" if trouble else "")
    if unread + count > limits.max_lag and unread > 0:
        nobody = "; no process of the service is running" if members == 0 else ""
        return f"the service has {unread:,} requests to read first (--max-lag {limits.max_lag}){nobody}"
    if waiting + count > limits.max_open and waiting > 0:
        return behind + ("; no process of the service is running" if members == 0 else "")
    return None
