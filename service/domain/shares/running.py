"""What runs at the platform at once, over all processes, by the order of the ledger.

Who wants to run enters, and leaves at the end. One may run when those that entered before it, and it, are within the
caps. The last record of each is all that is known of it, so what compaction leaves comes to the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

KEPT_MS: Final = 2 * 86_400_000
"""An entry that was never removed counts for this long: its deployment had no cap any more when it ended."""


class Caps(NamedTuple):
    """The most that may run at once. None: any number."""

    all: int | None = None
    tenant: int | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """One who runs, or wants to. `nonce` tells its record from an earlier one for the same job."""

    id: str
    tenant: str | None
    nonce: str = ""


class Running:
    """Those who have entered and not left, in the order of the log."""

    def __init__(self) -> None:
        self._entries: dict[str, tuple[str | None, int]] = {}  # the tenant, and since when
        self._tenants: dict[str | None, int] = {}

    def __repr__(self) -> str:
        return f"<Running {len(self._entries)}>"

    def __len__(self) -> int:
        return len(self._entries)

    def enter(self, entry: Entry, at_ms: int) -> None:
        """Fold an entry; one who has entered before goes behind all others."""
        self.leave(entry.id)
        self._entries[entry.id] = (entry.tenant, at_ms)
        self._tenants[entry.tenant] = self._tenants.get(entry.tenant, 0) + 1
        while (oldest := next(iter(self._entries.items())))[1][1] < at_ms - KEPT_MS:
            self.leave(oldest[0])

    def leave(self, name: str) -> None:
        """Fold that one has left. Nothing happens for one who is not there."""
        found = self._entries.pop(name, None)
        if found is not None:
            left = self._tenants.pop(found[0]) - 1
            if left:
                self._tenants[found[0]] = left

    def has(self, name: str) -> bool:
        """Whether one has entered and not left."""
        return name in self._entries

    def room(self, tenant: str | None, caps: Caps) -> bool:
        """Whether one more of this tenant would be within the caps."""
        of_tenant = self._tenants.get(tenant, 0)
        return (caps.all is None or len(self._entries) < caps.all) and (caps.tenant is None or of_tenant < caps.tenant)

    def may_run(self, name: str, caps: Caps) -> bool:
        """Whether one who has entered is within the caps, counting those in front of it."""
        tenant = self._entries[name][0]
        everybody, of_tenant = len(self._entries), self._tenants[tenant]
        if (caps.all is None or everybody <= caps.all) and (caps.tenant is None or of_tenant <= caps.tenant):
            return True
        for other, (whose, _) in reversed(self._entries.items()):
            if other == name:
                break
            everybody -= 1
            of_tenant -= whose == tenant
        return (caps.all is None or everybody <= caps.all) and (caps.tenant is None or of_tenant <= caps.tenant)
