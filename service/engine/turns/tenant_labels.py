"""Tenants as labels of metrics: a bounded number, and the rest together. Whoever sends requests chooses their names."""

from __future__ import annotations

_MOST = 50
OTHER = "other"


class TenantLabels:
    """The first tenants of a process keep their names."""

    def __init__(self) -> None:
        self._known: set[str] = set()

    def label(self, tenant: str | None) -> str:
        """The label of a tenant; empty for requests without one."""
        if tenant is None or tenant in self._known:
            return tenant or ""
        if len(self._known) >= _MOST:
            return OTHER
        self._known.add(tenant)
        return tenant
