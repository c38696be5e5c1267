"""How much an account may ask for: by minute, hour and day, in requests, minutes of video and tokens of text."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, Literal

from service.emulator.bounds import whole_number

LimitScope = Literal["organisation", "key"]
LimitHeaders = Literal["plain", "request", "both", "none"]


@dataclass(frozen=True, slots=True)
class Limits:
    """None is no limit. 0 lets nothing in. `POST /_emulator/limits` changes them while an emulator runs."""

    upload_rpm: int | None = None
    """Creations of assets and upload sessions in a minute."""
    upload_rpd: int | None = None
    """The same in a UTC day."""
    analyze_rpm: int | None = None
    """Analyses and creations of tasks in a minute."""
    analyze_rpd: int | None = None
    """The same in a UTC day."""
    analyze_dph: int | None = None
    """Minutes of analysed video in an hour."""
    analyze_dpd: int | None = None
    """The same in a UTC day."""
    analyze_tpm: int | None = None
    """Tokens of generated text in a minute."""
    analyze_tpd: int | None = None
    """The same in a UTC day."""
    lifetime_minutes: int | None = None
    """Minutes of analysed video in all, as the free plan has them."""

    def changed(self, values: dict[str, Any]) -> Limits:
        """A copy with `values`; raises `ValueError` with a message for the caller."""
        known = [item.name for item in fields(self)]
        checked: dict[str, int | None] = {}
        for name, value in values.items():
            if name not in known:
                raise ValueError(f"there is no limit {name}; there are {', '.join(known)}")
            checked[name] = None if value is None or value == "" else whole_number(name, value, 0)
        return replace(self, **checked)


_TIER_1 = Limits(
    upload_rpm=60,
    upload_rpd=3_000,
    analyze_rpm=60,
    analyze_rpd=1_000,
    analyze_dph=600,
    analyze_dpd=3_000,
    analyze_tpm=30_000,
    analyze_tpd=500_000,
)
PLANS: dict[str, Limits] = {
    "none": Limits(),
    "free": replace(_TIER_1, lifetime_minutes=600),
    "tier1": _TIER_1,
    "tier2": Limits(120, 6_000, 120, 2_000, 1_200, 6_000, 60_000, 1_000_000),
    "tier3": Limits(240, 12_000, 240, 3_000, 2_400, 12_000, 120_000, 1_500_000),
}
"""The platform's plans, as they were published in July 2026."""
