"""Who may upload a video: claims in the assets topic, and the table that every process keeps of them.

A claim is a record with its own key (identity and token), so compaction keeps the claims of all processes; a tombstone
gives it up. The earliest claim in the log that has not ended wins. A claim lasts for a number of seconds, counted by
each process on its own monotonic clock from the moment it reads the record: clocks of two machines are not compared.
Only for records read at the start, which may be old, the record's timestamp tells the age.
"""

from __future__ import annotations

from dataclasses import dataclass

import orjson

from service.kafka.ports import OutRecord

CLAIM_PREFIX = b"!claim/"


@dataclass(frozen=True, slots=True)
class ClaimRecord:
    """A claim as it is written. `since` is the offset of the claim that this one renews."""

    identity: str
    token: str
    ttl_seconds: float
    since: int | None = None

    def record(self, topic: str, partition: int) -> OutRecord:
        value = orjson.dumps({"v": 1, "ttl_seconds": self.ttl_seconds, "since": self.since})
        return OutRecord(topic, partition, claim_key(self.identity, self.token), value)


def claim_key(identity: str, token: str) -> bytes:
    """The record key of a claim to an upload."""
    return CLAIM_PREFIX + f"{token}/{identity}".encode()


def read_claim(key: bytes, value: bytes | None) -> tuple[str, str, ClaimRecord | None] | None:
    """Identity, token and the claim (None: given up). None when it is no claim that this program can read."""
    try:
        token, _, identity = key.removeprefix(CLAIM_PREFIX).decode().partition("/")
        if value is None:
            return identity, token, None
        record = orjson.loads(value)
        if record["v"] != 1:
            return None
        since = record["since"]
        ttl = float(record["ttl_seconds"])
        return identity, token, ClaimRecord(identity, token, ttl, None if since is None else int(since))
    except (ValueError, TypeError, KeyError):
        return None


@dataclass(frozen=True, slots=True)
class _Entry:
    order: int
    over_at: float


class ClaimTable:
    """The claims of all processes as this one has read them. Times are of its monotonic clock, in seconds."""

    def __init__(self) -> None:
        self._claims: dict[str, dict[str, _Entry]] = {}

    def __len__(self) -> int:
        return sum(len(claims) for claims in self._claims.values())

    def seen(self, claim: ClaimRecord, offset: int, now: float, age_seconds: float = 0.0) -> None:
        """A claim was read from the log. A renewal keeps its rank, unless the claim had expired."""
        claims = self._claims.setdefault(claim.identity, {})
        before = claims.get(claim.token)
        order = offset
        if before is not None and before.over_at > now:
            order = before.order
        elif before is None and claim.since is not None:
            order = claim.since  # compaction has removed what it renews
        claims[claim.token] = _Entry(order, now + claim.ttl_seconds - min(max(age_seconds, 0.0), claim.ttl_seconds))

    def given_up(self, identity: str, token: str) -> None:
        claims = self._claims.get(identity)
        if claims is not None:
            claims.pop(token, None)
            if not claims:
                del self._claims[identity]

    def knows(self, identity: str, token: str) -> bool:
        return token in self._claims.get(identity, {})

    def holder(self, identity: str, now: float) -> tuple[str, float] | None:
        """The token of the earliest claim and when it ends; None when there is none."""
        live = [
            (entry.order, token, entry.over_at)
            for token, entry in self._claims.get(identity, {}).items()
            if entry.over_at > now
        ]
        if not live:
            return None
        _, token, over_at = min(live)
        return token, over_at

    def sweep(self, now: float) -> None:
        """Forget claims that have ended."""
        for identity, claims in list(self._claims.items()):
            for token, entry in list(claims.items()):
                if entry.over_at <= now:
                    self.given_up(identity, token)
