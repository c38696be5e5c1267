"""The check of `doctor` on money: what is spent today, as the ledger tells."""

from __future__ import annotations

from service.cli.checks.finding import Finding
from service.cli.reading.topic_reader import TopicReader
from service.clock import SystemClock
from service.domain.result.cost import cost_words
from service.domain.shares.spending import MICRO, Spending
from service.kafka.ledger.records import PARTITION, UnreadableLedgerRecord
from service.kafka.ledger.spending_records import SPENDING_KEY, SpendingBook
from service.kafka.ports import InRecord
from service.settings import CostSettings, Settings

_TODO = "raise REELWIRE_COST__DAILY_LIMIT in every process, or wait for the next UTC day"


async def check_spending(settings: Settings) -> list[Finding]:
    """What is left of the daily limit; nothing where none is set. Called when the topics are there."""
    if not settings.cost.limited:
        return []
    book, unreadable = SpendingBook(), 0

    def fold(record: InRecord) -> bool:
        try:
            if record.key == SPENDING_KEY:
                book.fold(record)
        except UnreadableLedgerRecord:
            return False
        return True

    async with TopicReader(settings, [settings.topics.ledger], fold) as reader:
        ends = {where: end for where, end in (await reader.ends()).items() if where.partition == PARTITION}
        reader.begin(await reader.beginnings(), PARTITION)
        async for read in reader.until(ends):
            unreadable += not read
    return [_finding(settings.cost, book.spending, unreadable)]


def _finding(cost: CostSettings, spending: Spending, unreadable: int) -> Finding:
    spent = spending.spent(int(SystemClock().time() * 1000)) / MICRO
    detail = f"{cost_words(spent, cost.currency)} spent or reserved today (UTC)"
    if cost.daily_limit is not None:
        left, limit = max(cost.daily_limit - spent, 0), cost_words(cost.daily_limit, cost.currency)
        detail += f", {cost_words(left, cost.currency)} of {limit} left"
    if unreadable:
        detail += f"; {unreadable} record(s) of the ledger can't be read and are not counted"
    if cost.daily_limit is not None and spent >= cost.daily_limit:
        return Finding("warn", "spending", detail, _TODO)
    return Finding("warn" if unreadable else "ok", "spending", detail)
