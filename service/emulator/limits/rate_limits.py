"""Counts what was asked for, and decides whether a request is let in."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from service.emulator.behaviours import KnownFrom, behaves
from service.emulator.limits.buckets import Allowance, Bucket, DayCount, Total, whole_seconds
from service.emulator.limits.limits import LimitHeaders, Limits, LimitScope
from service.emulator.refusals import Refusal, invalid

Category = Literal["upload", "analyze"]
Asked = Literal["minute", "day", "off"]
Unit = Literal["request", "minute", "token"]
_MINUTE, _HOUR = 60.0, 3600.0
_SHOWN_LIMIT = 60
_WORDS = {
    "rpm": "requests a minute",
    "rpd": "requests a day",
    "dph": "minutes of video an hour",
    "dpd": "minutes of video a day",
    "tpm": "tokens a minute",
    "tpd": "tokens a day",
}


@dataclass(frozen=True, slots=True)
class _Dimension:
    """One limit of one category. `unit`: what it is counted in."""

    name: str
    unit: Unit
    allowance: Allowance


class RateLimits:
    """A request is let in while something is left of every dimension of its category.

    Its minutes and tokens are taken once they are known, so a single request may use more than was left. What was
    refused is not counted. Counted for the organisation, whatever the key, or for each key apart.
    """

    def __init__(self, limits: Limits, scope: LimitScope, headers: LimitHeaders) -> None:
        self.limits = limits
        self._scope = scope
        self._headers = headers
        self._gone: dict[str, float] = {}  # category to the time when its day begins anew
        self._dimensions: dict[tuple[str, str], dict[str, _Dimension]] = {}

    def change(self, limits: Limits) -> None:
        """Other limits from now on. All of them begin full."""
        self.limits = limits
        self.refill()

    def refill(self) -> None:
        """As if nothing had been asked for."""
        self._dimensions.clear()
        self._gone.clear()

    @behaves(
        "limits.day",
        "A day's quota that is gone is told with a `Retry-After` of hours, until midnight UTC.",
        KnownFrom.INFERRED,
        test="limits/test_rate_limits.py::test_a_day_that_is_used_up_is_waited_for_in_hours",
        on=(
            "analyze_stream",
            "task_create",
        ),
        item=12,
    )
    def use_up(self, category: Category, now: float) -> None:
        """As if the quota of this UTC day were used up."""
        self._gone[category] = DayCount(0).full_at(now)

    @behaves(
        "limits.buckets",
        "Requests, minutes and tokens a minute and an hour refill steadily; uploads and analyses are counted "
        "apart, reads not at all.",
        KnownFrom.INFERRED,
        test="limits/test_rate_limits.py::test_a_minute_s_requests_are_counted_told_and_refilled",
        on=(
            "asset_create",
            "upload_create",
            "analyze_stream",
            "analyze_sync",
            "task_create",
        ),
        item=12,
    )
    @behaves(
        "limits.refusal",
        "What is over a limit is 429 `too_many_requests` with the limit, the wait and `Retry-After`; a plan "
        "whose minutes are gone is 403.",
        KnownFrom.DOCUMENTED,
        test="limits/test_rate_limits.py::test_the_minutes_of_a_free_plan_end_for_good",
        on=(
            "analyze_stream",
            "task_create",
        ),
        item=12,
    )
    def admit(self, category: Category, key: str, now: float, asked: Asked | None = None) -> None:
        """Count a request, or raise `Refusal`. `asked` is the word of a fault: refuse anyhow, or do not count."""
        if asked == "off":
            return
        found = self._of(category, key, now)
        if asked == "minute":
            raise self._refusal("rpm", Bucket(0, _MINUTE, now), self._shown(found), now)
        if asked == "day" or self._gone.get(category, 0.0) > now:
            limit = found["rpd"].allowance.limit if "rpd" in found else self._shown(found)
            raise self._refusal("rpd", DayCount(0), limit, now)
        for name, dimension in found.items():
            needed = 1.0 if dimension.unit == "request" else 1e-9
            if dimension.allowance.left(now) + 1e-9 < needed or dimension.allowance.limit == 0:
                if name == "lifetime":
                    raise Refusal(403, "usage_limit_exceeded", "You have used up the minutes of your plan.")
                raise self._refusal(name, dimension.allowance, dimension.allowance.limit, now)
        for dimension in found.values():
            if dimension.unit == "request":
                dimension.allowance.take(1, now)

    def spend(self, key: str, now: float, *, minutes: float, tokens: int) -> None:
        """Take what an analysis that was let in has cost."""
        for dimension in self._of("analyze", key, now).values():
            if dimension.unit != "request":
                dimension.allowance.take(minutes if dimension.unit == "minute" else tokens, now)

    @property
    def counts_costs(self) -> bool:
        """Whether minutes or tokens are limited at all."""
        limits = self.limits
        return any(
            limit is not None
            for limit in (
                limits.analyze_dph,
                limits.analyze_dpd,
                limits.analyze_tpm,
                limits.analyze_tpd,
                limits.lifetime_minutes,
            )
        )

    def headers(self, category: Category, key: str, now: float) -> dict[str, str]:
        """What an answer tells of the requests a minute. Without a limit it tells a number that is never used up."""
        found = self._of(category, key, now).get("rpm")
        if found is None:
            return self._spelled(_SHOWN_LIMIT, _SHOWN_LIMIT, int(now + _MINUTE))
        bucket = found.allowance
        return self._spelled(bucket.limit, int(bucket.left(now) + 1e-9), int(bucket.full_at(now)))

    def as_json(self, now: float) -> dict[str, Any]:
        """For the admin endpoint: the limits, what is left of them, and which days are used up."""
        left = {
            f"{category} {key}".strip(): {name: round(one.allowance.left(now), 3) for name, one in found.items()}
            for (category, key), found in self._dimensions.items()
        }
        gone = sorted(category for category, until in self._gone.items() if until > now)
        return {"limits": asdict(self.limits), "left": left, "used_up": gone, "scope": self._scope}

    def _of(self, category: Category, key: str, now: float) -> dict[str, _Dimension]:
        whose = (category, "" if self._scope == "organisation" else key)
        found = self._dimensions.get(whose)
        if found is None:
            found = self._dimensions[whose] = self._made(category, now)
        return found

    def _made(self, category: Category, now: float) -> dict[str, _Dimension]:
        limits = self.limits
        made: dict[str, _Dimension] = {}

        def add(name: str, unit: Unit, limit: int | None, period: float | None) -> None:
            if limit is not None:
                allowance = DayCount(limit) if period is None else Bucket(limit, period, now)
                made[name] = _Dimension(name, unit, allowance)

        if category == "upload":
            add("rpm", "request", limits.upload_rpm, _MINUTE)
            add("rpd", "request", limits.upload_rpd, None)
            return made
        add("rpm", "request", limits.analyze_rpm, _MINUTE)
        add("rpd", "request", limits.analyze_rpd, None)
        add("dph", "minute", limits.analyze_dph, _HOUR)
        add("dpd", "minute", limits.analyze_dpd, None)
        add("tpm", "token", limits.analyze_tpm, _MINUTE)
        add("tpd", "token", limits.analyze_tpd, None)
        if limits.lifetime_minutes is not None:
            made["lifetime"] = _Dimension("lifetime", "minute", Total(limits.lifetime_minutes))
        return made

    def _shown(self, found: dict[str, _Dimension]) -> int:
        return found["rpm"].allowance.limit if "rpm" in found else _SHOWN_LIMIT

    def _refusal(self, name: str, allowance: Allowance, limit: int, now: float) -> Refusal:
        needed = 1.0 if name in {"rpm", "rpd"} else 1e-6
        wait = whole_seconds(allowance.wait_seconds(needed, now))
        message = f"You have exceeded the limit of {limit} {_WORDS[name]}. Try again in {wait} seconds."
        headers = {"Retry-After": str(wait)} | self._spelled(limit, 0, int(now) + wait)
        return Refusal(429, "too_many_requests", message, headers)

    def _spelled(self, limit: int, left: int, reset: int) -> dict[str, str]:
        left = max(0, left)
        told: dict[str, str] = {}
        if self._headers in {"plain", "both"}:
            told |= {
                "X-Ratelimit-Limit": str(limit),
                "X-Ratelimit-Remaining": str(left),
                "X-Ratelimit-Used": str(max(0, limit - left)),
                "X-Ratelimit-Reset": str(reset),
            }
        if self._headers in {"request", "both"}:
            told |= {
                "X-RateLimit-Request-Limit": str(limit),
                "X-RateLimit-Request-Remaining": str(left),
                "X-RateLimit-Request-Reset": str(reset),
            }
        return told


def category_of(given: Any) -> Category:
    """A category that somebody has named; raises `Refusal`."""
    if given == "upload":
        return "upload"
    if given == "analyze":
        return "analyze"
    raise invalid("A category must be upload or analyze.")
