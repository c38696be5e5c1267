"""JSON is found in what models write around it, and nothing is taken for it that is not."""

from __future__ import annotations

import pytest

from service.domain.facts import AnalysisEnded
from service.domain.job import Phase
from service.domain.result.decoded import REPAIRED, Decoded, decoded
from tests.domain.builders import SCHEMA, apply, job_in, outcome, request_of

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("text", ['{"a": 1}', "[1]", "null", '"x"', " 7 "])
def test_what_is_json_is_read_strictly(text: str) -> None:
    got = decoded(text, "stop")
    assert (got.error, got.repair) == (None, None)


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ('```json\n{"a": [1, "x"]}\n```', "before and after"),
        ('{"a": [1, "x"]}"x"]}', "after"),
        ('{"a": [1, "x"]} {"a": [1', "after"),
        ('Here it is: {"a": [1, "x"]}', "before"),
    ],
)
def test_text_around_an_object_is_passed_over_and_told(text: str, where: str) -> None:
    assert decoded(text, "stop") == Decoded({"a": [1, "x"]}, repair=f"text {where} the JSON was passed over")


def test_raw_control_characters_are_taken_as_text() -> None:
    assert decoded('{"a": "x\ny"}', "stop") == Decoded({"a": "x\ny"}, repair="control characters were taken as text")


def test_an_array_is_looked_for_only_where_one_is_asked_for() -> None:
    assert decoded("see [1] there", "stop").data is None
    assert decoded("see [1] there", "stop", array=True).data == [1]


@pytest.mark.parametrize(
    "text", ['x {"a": NaN}', 'x {"a": 1e999}', 'x {"a": "\\ud800"}', 'x {"a": ' * 3000, "x {", "{'a': 1}", 'x {"a": 1']
)
def test_what_no_event_can_hold_or_nobody_can_read_is_an_error(text: str) -> None:
    got = decoded(text, "stop")
    assert (got.data, got.repair) == (None, None)
    assert (got.error or "").startswith("the text is not JSON: ")


def test_a_text_that_was_cut_is_not_searched() -> None:
    assert decoded('{"a": 1} {"b', "length").data is None


def test_a_completion_warns_of_data_that_was_repaired_unless_the_platform_warns_itself() -> None:
    request = request_of(response_format=SCHEMA)
    for given, code in ((None, REPAIRED), ("theirs", None)):
        ended = AnalysisEnded(outcome('x {"a": 1}', warning_message=given))
        change = apply(job_in(Phase.CALLING, request), ended, request)
        assert change.completion is not None
        assert change.completion.members["data"] == {"a": 1}
        assert change.completion.members["warning"]["code"] == code
