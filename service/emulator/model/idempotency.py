"""Remembers the answers to creations that carried an `Idempotency-Key`.

The platform documents the header but not its rules; these are the usual ones: the same body is answered again with
the same task, another body is a conflict, and so is a request whose first is still under way. Outcomes that a retry
may change (429 and 5xx) are not kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from service.emulator.behaviours import KnownFrom, behaves
from service.emulator.options import IdempotencyMode
from service.emulator.refusals import Refusal, invalid

_LONGEST = 255
Scope = tuple[str, ...]
"""Whose key it is (a digest of the API key), the path and the key."""


@dataclass(slots=True)
class _Known:
    digest: str
    expires_at: float
    answer: dict[str, Any] | None
    """None while the first request is being worked on."""


class IdempotencyKeys:
    """Answers by scope."""

    def __init__(self, mode: IdempotencyMode, keep_seconds: float) -> None:
        self._mode = mode
        self._keep = keep_seconds
        self._known: dict[Scope, _Known] = {}

    @behaves(
        "tasks.idempotency",
        "A repeated `Idempotency-Key` gets the same answer again for a day, 409 with another body; switches "
        "ignore it or always refuse.",
        KnownFrom.INFERRED,
        test="model/test_idempotency.py::test_a_known_idempotency_key",
        on=("task_create",),
        item=13,
    )
    def claim(self, scope: Scope, digest: str, now: float) -> dict[str, Any] | None:
        """The answer to an earlier request with this key, or None.

        After None, the caller does the work and then calls `keep`, or `release` if it failed. Raises `Refusal` for a
        key in use, with another body, or of a wrong form.
        """
        key = scope[-1]
        if not 1 <= len(key) <= _LONGEST or not all("!" <= char <= "~" for char in key):
            raise invalid("The Idempotency-Key header must be 1 to 255 visible ASCII characters.")
        known = self._known.get(scope)
        if self._mode == "ignore" or known is None or known.expires_at <= now:
            self._known[scope] = _Known(digest, now + self._keep, None)
            return None
        if known.answer is None:
            raise Refusal(409, "idempotency_conflict", "The first request is under way.", {"Retry-After": "1"})
        if known.digest != digest or self._mode == "conflict":
            raise Refusal(409, "idempotency_conflict", "This Idempotency-Key was used before.")
        return known.answer

    def keep(self, scope: Scope, answer: dict[str, Any]) -> None:
        """Store the answer to a claimed key."""
        self._known[scope].answer = answer

    def restore(self, scope: Scope, digest: str, expires_at: float, answer: dict[str, Any]) -> None:
        self._known[scope] = _Known(digest, expires_at, answer)

    def release(self, scope: Scope) -> None:
        """Free the key after work that failed. Does nothing after `keep`."""
        known = self._known.get(scope)
        if known is not None and known.answer is None:
            del self._known[scope]
