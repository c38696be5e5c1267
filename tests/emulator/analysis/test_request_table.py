"""The emulator refuses what the platform is known to refuse: every range and rule of the contract's table."""

from __future__ import annotations

from typing import Any

import pytest

from contracts.request_rules import RULES
from contracts.rule_table import RANGES, Range, Rule
from service.emulator.analysis.analysis_request import AnalysisRequest, parse_analysis
from service.emulator.refusals import Refusal
from tests.support.request_table import breaking, items, least, with_value

NOT_OURS = frozenset({"request_id", "mode", "upload", "batch"})
PLATFORM_RULES = [rule for rule in RULES if rule.example and not rule.ours]
OUTSIDE = [
    (span, bound, step)
    for span in RANGES
    for bound, step in ((span.least, -1), (span.most, 1))
    if bound is not None and not span.ours
]


def name_of(value: Any) -> str:
    return value.path if isinstance(value, Rule) else value.member if isinstance(value, Range) else str(value)


def as_task(request: dict[str, Any]) -> AnalysisRequest:
    body = {name: value for name, value in request.items() if name not in NOT_OURS}
    return parse_analysis(body, task=True, strict=True, video_limit_bytes=1_000_000)


@pytest.mark.parametrize("base", ["general", "segments", "images"])
def test_the_least_request_of_each_kind_is_taken(base: str) -> None:
    as_task(least(base))


@pytest.mark.parametrize("rule", PLATFORM_RULES, ids=name_of)
def test_what_breaks_a_rule_is_refused_with_a_code_of_the_platform(rule: Rule[Any]) -> None:
    with pytest.raises(Refusal) as refused:
        as_task(breaking(rule))
    assert refused.value.status == 400
    assert refused.value.code in ("parameter_invalid", "parameter_not_provided")


@pytest.mark.parametrize(("span", "bound", "step"), OUTSIDE, ids=name_of)
def test_what_is_outside_a_range_is_refused(span: Range, bound: float, step: int) -> None:
    outside = (
        items(span, int(bound) + step)
        if span.unit in ("items", "characters")
        else bound + step * (1 if span.unit == "tokens" else 0.01)
    )
    with pytest.raises(Refusal) as refused:
        as_task(with_value(span, outside))
    assert refused.value.code in ("parameter_invalid", "parameter_not_provided")
