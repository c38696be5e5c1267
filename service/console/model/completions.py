"""What is kept of a completion, and which completions were seen before."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from service.console.model.entry import End
from service.console.model.event import attempt_of, number_of

_MOST_NAMES = 100_000
_MESSAGE_CHARS = 500


class SeenNames:
    """The names of the last completions: a repeated request has its completion published again."""

    def __init__(self, most: int = _MOST_NAMES) -> None:
        self._most = most
        self._seen: OrderedDict[int, None] = OrderedDict()  # hashes: names are long

    def add(self, name: tuple[str, str]) -> bool:
        """Remember a name. False when it is known."""
        mark = hash(name)
        if mark in self._seen:
            return False
        self._seen[mark] = None
        if len(self._seen) > self._most:
            self._seen.popitem(last=False)
        return True


def end_of(event: dict[str, Any], raw: bytes, kind: str, offset: int, time_ms: int) -> End:
    """The end that a completion tells of."""
    error, usage, text = event.get("error"), event.get("usage"), event.get("text")
    error = error if isinstance(error, dict) else {}
    usage = usage if isinstance(usage, dict) else {}
    message = error.get("message") or event.get("reason")
    return End(
        type=kind,
        attempt=attempt_of(event),
        time_ms=time_ms,
        raw=raw,
        offset=offset,
        characters=len(text) if isinstance(text, str) else 0,
        code=str(error["code"]) if error.get("code") is not None else None,
        message=None if message is None else str(message)[:_MESSAGE_CHARS],
        cost=number_of(usage.get("estimated_cost")),
        billed_minutes=number_of(usage.get("billed_minutes")),
    )
