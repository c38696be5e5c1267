"""The records of the ledger: asks, and snapshots of what the asks before them come to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import orjson

from service.domain.shares.quota import Account, Ask, GiveBack
from service.kafka.ports import OutRecord

ASK_KEY: Final = b"ask"
"""One key for all asks: compaction leaves what is younger than `min.compaction.lag.ms`, which is all that is needed."""
GIVE_BACK_KEY: Final = b"give-back"
"""One key for all of them, as for asks. Programs that do not know it count too much, never too little."""
SNAPSHOT_KEY: Final = b"snapshot"
PARTITION: Final = 0
VERSION: Final = 1


class UnreadableLedgerRecord(ValueError):
    """A record of the ledger has an unknown version or is damaged."""


def ask_record(topic: str, ask: Ask) -> OutRecord:
    """An ask; the log gives it its time and its order."""
    members = {
        "v": VERSION,
        "id": ask.id,
        "category": ask.category,
        "count": ask.count,
        "per_window": ask.per_window,
        "per_day": ask.per_day,
        "window_ms": ask.window_ms,
    }
    return OutRecord(topic, PARTITION, ASK_KEY, orjson.dumps(members))


def give_back_record(topic: str, unused: GiveBack) -> OutRecord:
    """What was granted and not used."""
    members = {"v": VERSION, "category": unused.category, "granted": unused.granted_ms, "count": unused.count}
    return OutRecord(topic, PARTITION, GIVE_BACK_KEY, orjson.dumps(members))


def snapshot_record(topic: str, account: Account, before: int) -> OutRecord:
    """The account as all asks in front of offset `before` make it."""
    value = orjson.dumps({"v": VERSION, "before": before, "account": account.snapshot()})
    return OutRecord(topic, PARTITION, SNAPSHOT_KEY, value)


def read_ask(value: bytes | None) -> Ask:
    """Raises `UnreadableLedgerRecord`."""
    members = members_of(value)
    try:
        return Ask(
            id=str(members["id"]),
            category=str(members["category"]),
            count=int(members["count"]),
            per_window=_limit(members["per_window"]),
            per_day=_limit(members["per_day"]),
            window_ms=int(members["window_ms"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise UnreadableLedgerRecord("an ask of the ledger has not the members that it should have") from error


def read_give_back(value: bytes | None) -> GiveBack:
    """Raises `UnreadableLedgerRecord`."""
    members = members_of(value)
    try:
        unused = GiveBack(str(members["category"]), int(members["granted"]), int(members["count"]))
        if unused.count < 0:
            raise ValueError("less than nothing")
    except (KeyError, TypeError, ValueError) as error:
        message = "a record of unused quota in the ledger has not the members that it should have"
        raise UnreadableLedgerRecord(message) from error
    return unused


def read_snapshot(value: bytes | None) -> tuple[Account, int]:
    """The account, and the offset at which the asks begin that are not in it. Raises `UnreadableLedgerRecord`."""
    members = members_of(value)
    try:
        return Account.restored(members["account"]), int(members["before"])
    except (KeyError, TypeError, ValueError) as error:
        raise UnreadableLedgerRecord("a snapshot of the ledger has not the members that it should have") from error


def members_of(value: bytes | None, what: str = "a record of the ledger") -> Mapping[str, Any]:
    """The members of a value with a version that this program knows. Raises `UnreadableLedgerRecord`."""
    try:
        members = orjson.loads(value or b"")
    except ValueError as error:
        raise UnreadableLedgerRecord(f"{what} is no JSON") from error
    if not isinstance(members, dict) or members.get("v") != VERSION:
        raise UnreadableLedgerRecord(f"{what} is of a version that this program does not know")
    return members


def _limit(value: object) -> int | None:
    return None if value is None else int(str(value))
