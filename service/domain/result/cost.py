"""What an analysis costs by the prices of the settings. An estimate: the platform's bill is not asked for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Prices:
    """What the platform charges; None: not told."""

    per_minute: float | None = None
    per_1000_output_tokens: float | None = None
    currency: str | None = None


def estimated_cost(prices: Prices, minutes: float | None, output_tokens: int | None) -> float | None:
    """The cost of `minutes` billed and `output_tokens` generated.

    None without any price, and where a price is told but what it is for is not known: half a cost would mislead.
    """
    total, told = 0.0, False
    for price, amount in ((prices.per_minute, minutes), (prices.per_1000_output_tokens, _thousands(output_tokens))):
        if price is None:
            continue
        if amount is None:
            return None
        total, told = total + price * amount, True
    return round(total, 6) if told else None


def _thousands(tokens: int | None) -> float | None:
    return None if tokens is None else tokens / 1000


def cost_words(amount: float, currency: str | None) -> str:
    """An amount of money for people: to the cent, or to a hundredth of one where it is a small fraction."""
    digits = 2 if amount >= 1 or round(amount, 2) == round(amount, 4) else 4
    return f"{amount:.{digits}f}" + (f" {currency}" if currency is not None else "")
