"""Every range and every rule of the table, each with a request that is inside and one that is not."""

from __future__ import annotations

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from contracts.codes import DeadLetterCode
from contracts.request_rules import RULES
from contracts.requests import RejectedRecord, parse_request
from contracts.rule_table import END_TIME, RANGES, Range, Rule
from contracts.schemas import all_schemas
from tests.support.request_table import breaking, items, least, with_value

pytestmark = pytest.mark.unit

SCHEMA = Draft202012Validator(all_schemas()["analyze"])
WITH_EXAMPLE = [rule for rule in RULES if rule.example]
BOUNDS = [
    (span, bound, step)
    for span in RANGES
    for bound, step in ((span.least, -1), (span.most, 1))
    if bound is not None and not (span.unit == "items" and bound == 0)
]


def name_of(value: Any) -> str:
    return value.path if isinstance(value, Rule) else value.member if isinstance(value, Range) else str(value)


def parse(request: dict[str, Any]) -> None:
    parse_request(json.dumps(request).encode(), (), max_bytes=1 << 20)


def refusal(request: dict[str, Any]) -> str:
    with pytest.raises(RejectedRecord) as refused:
        parse(request)
    assert refused.value.code is DeadLetterCode.INVALID
    return refused.value.message


@pytest.mark.parametrize("base", ["general", "segments", "images"])
def test_the_least_request_of_each_kind_is_taken(base: str) -> None:
    parse(least(base))
    SCHEMA.validate(least(base))


@pytest.mark.parametrize("rule", WITH_EXAMPLE, ids=name_of)
def test_what_breaks_a_rule_is_refused_and_the_member_named(rule: Rule[Any]) -> None:
    assert refusal(breaking(rule)) == f"{rule.path}: {rule.words}"


@pytest.mark.parametrize("rule", [rule for rule in WITH_EXAMPLE if rule.schema], ids=name_of)
def test_the_schema_refuses_what_breaks_a_rule_that_it_can_say(rule: Rule[Any]) -> None:
    assert not SCHEMA.is_valid(breaking(rule))


@pytest.mark.parametrize(("span", "bound", "step"), BOUNDS, ids=name_of)
def test_a_range_ends_where_the_table_says(span: Range, bound: float, step: int) -> None:
    if span.unit in ("items", "characters"):
        inside, outside = items(span, int(bound)), items(span, int(bound) + step)
    else:
        small = 1 if span.unit == "tokens" else 0.01
        inside, outside = bound, bound + step * small
    if span is not END_TIME:  # an end at 0 leaves no window
        parse(with_value(span, inside))
        SCHEMA.validate(with_value(span, inside))
    assert refusal(with_value(span, outside)).startswith(f"{span.member}: ")
    assert not SCHEMA.is_valid(with_value(span, outside))


def test_only_rules_whose_example_would_be_huge_have_none() -> None:
    assert [rule.member for rule in RULES if not rule.example] == ["upload", "base64_string"]


def test_every_rule_of_a_schema_is_in_the_generated_one() -> None:
    written = all_schemas()["analyze"]["allOf"]
    assert all(rule.schema in written for rule in RULES if rule.schema is not None)
