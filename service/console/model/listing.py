"""Lists of requests: filters, order and pages."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from service.console.model.entry import Entry

MOST_ROWS = 500


@dataclass(frozen=True, slots=True)
class Query:
    """Which requests. All conditions that are set must hold. Times are milliseconds since the epoch."""

    state: str = "all"
    phase: str | None = None
    mode: str | None = None
    key: str | None = None
    tenant: str | None = None
    code: str | None = None
    text: str | None = None
    since: int | None = None
    until: int | None = None

    def matches(self, entry: Entry) -> bool:
        """Whether the request is selected."""
        ended = entry.end is not None
        if self.state != "all" and ended is not (self.state == "ended"):
            return False
        return (
            self.phase in (None, entry.shown_phase)
            and self.mode in (None, entry.mode)
            and self.key in (None, entry.key)
            and self.tenant in (None, entry.tenant)
            and (self.code is None or (entry.end is not None and entry.end.code == self.code))
            and (self.text is None or self.text in entry.id)
            and (self.since is None or entry.accepted_ms >= self.since)
            and (self.until is None or entry.accepted_ms < self.until)
        )


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a list, the newest first. `next` is the cursor of the page behind it."""

    entries: list[Entry]
    next: str | None
    matching: int


def page_of(entries: Iterable[Entry], query: Query, *, limit: int, before: str | None) -> Page:
    """The page of `limit` requests behind `before`. Raises `ValueError` for a cursor that is none."""
    matching = [entry for entry in entries if query.matches(entry)]
    count = len(matching)
    if before is not None:
        bound = _place_in(before)
        matching = [entry for entry in matching if _order(entry) < bound]
    chosen = heapq.nlargest(limit + 1, matching, key=_order)
    more = len(chosen) > limit
    chosen = chosen[:limit]
    return Page(chosen, _cursor(chosen[-1]) if more and chosen else None, count)


def phases_of(entries: Iterable[Entry]) -> dict[str, int]:
    """How many live requests there are in each phase."""
    return dict(Counter(entry.phase for entry in entries))


def _order(entry: Entry) -> tuple[int, int, str]:
    return entry.accepted_ms, entry.partition, entry.id


def _cursor(entry: Entry) -> str:
    return f"{entry.accepted_ms}.{entry.partition}.{entry.id}"


def _place_in(cursor: str) -> tuple[int, int, str]:
    accepted, _, rest = cursor.partition(".")
    partition, _, request_id = rest.partition(".")
    if not (accepted.isascii() and accepted.isdigit() and partition.isascii() and partition.isdigit()):
        raise ValueError("before: it is not the `next` of a page")
    return int(accepted), int(partition), request_id
