"""A request that was taken by an earlier version is read from its job record, whatever rule it would break today."""

from __future__ import annotations

import json
from typing import Any

import pytest

from contracts.images import SOURCE_RULES
from contracts.request_rules import RULES
from contracts.requests import AnalyzeRequest, RejectedRecord, load_request, parse_request
from tests.support.request_table import breaking, least

pytestmark = pytest.mark.unit

WITH_EXAMPLE = [rule for rule in RULES if rule.example and rule not in SOURCE_RULES]
"""That an image has one source is no rule that changes: nothing could be done with another one."""


def stored(request: dict[str, Any]) -> AnalyzeRequest:
    found = load_request(json.dumps({"type": "analyze", **request}).encode())
    assert isinstance(found, AnalyzeRequest)
    return found


@pytest.mark.parametrize("request_id", ["_under", "-hyphen", "x" * 200])
def test_an_id_that_would_be_refused_today_is_kept(request_id: str) -> None:
    request = least("general") | {"request_id": request_id}
    with pytest.raises(RejectedRecord):
        parse_request(json.dumps(request).encode(), (), max_bytes=1 << 20)

    assert stored(request).request_id == request_id


def test_an_id_that_is_no_text_is_none() -> None:
    with pytest.raises(ValueError, match="request_id"):
        stored(least("general") | {"request_id": 7})


@pytest.mark.parametrize("rule", WITH_EXAMPLE, ids=lambda rule: f"{rule.path}: {rule.words}")
def test_members_that_do_not_go_together_today_are_kept(rule: Any) -> None:
    request = breaking(rule)
    with pytest.raises(RejectedRecord):
        parse_request(json.dumps(request).encode(), (), max_bytes=1 << 20)

    assert stored(request).request_id == request["request_id"]
