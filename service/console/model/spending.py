"""What ended requests have cost, by UTC day and tenant."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

DAY_MS = 86_400_000
_MOST_TENANTS = 2_000
_OTHERS = "(others)"


@dataclass(slots=True)
class _Sum:
    cost: float | None = None
    minutes: float = 0.0
    requests: int = 0


class SpendingByDay:
    """Sums of completions. Days older than `days` are let go of; beyond 2,000 tenants a day they are one together."""

    def __init__(self, days: int = 31) -> None:
        self._most_days = days
        self._days: dict[int, dict[str | None, _Sum]] = {}

    def add(self, time_ms: int, tenant: str | None, cost: float | None, minutes: float | None) -> None:
        """Count a completion."""
        day = time_ms // DAY_MS
        tenants = self._days.get(day)
        if tenants is None:
            tenants = self._days[day] = {}
            for old in sorted(self._days)[: -self._most_days]:
                del self._days[old]
        if tenant not in tenants and len(tenants) >= _MOST_TENANTS:
            tenant = _OTHERS
        found = tenants.setdefault(tenant, _Sum())
        found.requests += 1
        found.minutes += minutes or 0.0
        if cost is not None:
            found.cost = (found.cost or 0.0) + cost

    def last(self, days: int, now_ms: int) -> list[dict[str, Any]]:
        """The last days, the newest first, of each the tenants in order of their names."""
        first = now_ms // DAY_MS - days + 1
        return [
            {
                "day": datetime.fromtimestamp(day * DAY_MS / 1000, UTC).date().isoformat(),
                "tenant": tenant,
                "cost": None if of_tenant.cost is None else round(of_tenant.cost, 6),
                "minutes": round(of_tenant.minutes, 3),
                "requests": of_tenant.requests,
            }
            for day in sorted(self._days, reverse=True)
            if day >= first
            for tenant, of_tenant in sorted(self._days[day].items(), key=lambda item: item[0] or "")
        ]
