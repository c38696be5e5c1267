"""The ledger's records of money: reservations, and what became of them.

All have one key, which asks and snapshots do not have: older programs pass them over. Of one key compaction leaves what
is younger than `min.compaction.lag.ms`, two days, and nothing older counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import orjson

from service.domain.shares.spending import Refused, Reservation, Spending
from service.kafka.ledger.records import PARTITION, VERSION, UnreadableLedgerRecord, members_of
from service.kafka.ports import InRecord, OutRecord

SPENDING_KEY: Final = b"spending"


@dataclass(frozen=True, slots=True)
class Decided:
    """What the ledger says to one reservation: `ask` is the id of its record. `refused` None: it is made."""

    ask: str
    refused: Refused | None


def reserve_record(topic: str, ask: str, wanted: Reservation) -> OutRecord:
    """A reservation. `ask` names this record, the reservation's own id names the attempt."""
    members = {
        "v": VERSION,
        "ask": ask,
        "id": wanted.id,
        "amount": wanted.amount,
        "per_day": wanted.per_day,
        "tenant": wanted.tenant,
        "per_tenant": wanted.per_tenant,
    }
    return OutRecord(topic, PARTITION, SPENDING_KEY, orjson.dumps(members))


def settle_record(topic: str, reservation_id: str, amount: int) -> OutRecord:
    """An attempt has ended, and has cost `amount`."""
    return OutRecord(
        topic, PARTITION, SPENDING_KEY, orjson.dumps({"v": VERSION, "settles": reservation_id, "amount": amount})
    )


class SpendingBook:
    """What the ledger says of money so far."""

    def __init__(self) -> None:
        self.spending = Spending()
        self._next = 0

    def fold(self, record: InRecord) -> Decided | None:
        """Take the next record with `SPENDING_KEY`. Raises `UnreadableLedgerRecord`."""
        if record.offset < self._next:
            return None  # read again after a connection was lost
        self._next = record.offset + 1
        members = members_of(record.value, "a record of money in the ledger")
        try:
            if "settles" in members:
                self.spending.settle(str(members["settles"]), _amount(members["amount"]), record.timestamp_ms)
                return None
            tenant = members["tenant"]
            wanted = Reservation(
                id=str(members["id"]),
                amount=_amount(members["amount"]),
                per_day=_limit(members["per_day"]),
                tenant=None if tenant is None else str(tenant),
                per_tenant=_limit(members["per_tenant"]),
            )
            ask = str(members["ask"])
        except (KeyError, TypeError, ValueError) as error:
            message = "a record of money in the ledger has not the members that it should have"
            raise UnreadableLedgerRecord(message) from error
        return Decided(ask, self.spending.reserve(wanted, record.timestamp_ms))


def _amount(value: object) -> int:
    if not isinstance(value, int) or value < 0:
        raise ValueError("no amount")
    return value


def _limit(value: object) -> int | None:
    return None if value is None else _amount(value)
