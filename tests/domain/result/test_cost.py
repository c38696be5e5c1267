"""What an analysis costs, as far as prices and amounts are told."""

from __future__ import annotations

import pytest

from service.domain.facts import AnalysisEnded
from service.domain.job import Phase
from service.domain.policy import Policy
from service.domain.result.cost import Prices, estimated_cost
from tests.domain.builders import apply, job_in, outcome

pytestmark = pytest.mark.unit

BOTH = Prices(0.0292, 0.0075, "USD")


@pytest.mark.parametrize(
    ("prices", "minutes", "tokens", "cost"),
    [
        (BOTH, 10.0, 2_000, 0.307),
        (BOTH, 0.0, 0, 0.0),
        (Prices(per_minute=0.5), 3.0, None, 1.5),
        (Prices(per_1000_output_tokens=0.5), None, 100, 0.05),
        (BOTH, None, 100, None),
        (BOTH, 1.0, None, None),
        (Prices(currency="USD"), 1.0, 1, None),
    ],
)
def test_a_cost_is_told_when_every_price_has_an_amount(
    prices: Prices, minutes: float | None, tokens: int | None, cost: float | None
) -> None:
    assert estimated_cost(prices, minutes, tokens) == cost


def test_a_completion_says_what_it_cost() -> None:
    ended = AnalysisEnded(outcome(output_tokens=2_000))
    change = apply(job_in(Phase.STREAMING, duration=600.0), ended, policy=Policy(prices=BOTH))
    assert change.completion is not None
    usage = change.completion.members["usage"]
    assert (usage["estimated_cost"], usage["currency"]) == (0.307, "USD")
