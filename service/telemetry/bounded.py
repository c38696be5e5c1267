"""A counter by a label that senders of requests choose: it takes only so many values of it."""

from __future__ import annotations

from typing import Any, Self

from prometheus_client import Counter

MOST_VALUES = 100
"""Different values that the first label of a `BoundedCounter` takes in one process."""

OTHERS = "(others)"
"""What comes after that many; no tenant can be called so."""

NO_TENANT = "(none)"
"""For requests without a tenant."""


class BoundedCounter(Counter):
    """Its first label is a tenant. The first `MOST_VALUES` that are seen are told apart, the rest is one.

    Without a bound a sender that makes up tenants would fill the memory of this process and of Prometheus.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._seen: set[str] = set()

    def labels(self, *values: Any, **named: Any) -> Self:
        """The child for a tenant, or the one for all others. Labels are given by place, the tenant first or None."""
        tenant = NO_TENANT if values[0] is None else str(values[0])
        if tenant not in self._seen:
            if len(self._seen) < MOST_VALUES or tenant == NO_TENANT:
                self._seen.add(tenant)
            else:
                tenant = OTHERS
        return super().labels(tenant, *values[1:], **named)
