"""Events: nothing is absent, nothing is coerced, and what is written is read again."""

from typing import Any, get_args

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from contracts.cloudevents import encode
from contracts.codes import ErrorCode, Stage
from contracts.events import (
    Accepted,
    Completed,
    CompletionEvent,
    ErrorInfo,
    Failed,
    ProgressEvent,
    Timings,
    parse_event,
)
from contracts.examples import load
from contracts.schemas import COMPLETIONS, EVENTS, PROGRESS

pytestmark = pytest.mark.unit

TIME = "2026-11-23T07:15:17.236Z"
CHARACTERS = st.characters(exclude_categories=["Cs"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(CHARACTERS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(CHARACTERS), inner, max_size=3),
    max_leaves=10,
)
METADATA = st.none() | st.dictionaries(st.text(CHARACTERS), JSON, max_size=4)


@given(metadata=METADATA, data=JSON, text=st.text(CHARACTERS), total=st.floats(0, 1e9))
def test_a_completion_is_read_as_it_was_written(
    metadata: dict[str, Any] | None, data: Any, text: str, total: float
) -> None:
    event = Completed(
        request_id="r",
        attempt=1,
        time=TIME,
        metadata=metadata,
        mode="sync",
        text=text,
        data=data,
        timings=Timings(total=total),
    )

    value, headers = encode(event, source="/reelwire", event_id="r-completion")

    assert parse_event(value) == event
    assert dict(headers)["ce_type"] == b"com.reelwire.video.analysis.completed.v1"


def test_members_that_do_not_apply_are_null_and_never_absent() -> None:
    value, _ = encode(
        Completed(request_id="r", attempt=1, time=TIME, mode="async", text="", timings=Timings()),
        source="/reelwire",
        event_id="r-completion",
    )

    written = orjson.loads(value)
    assert set(written) == set(Completed.model_fields)
    assert set(written["timings"]) == {"queued", "upload", "analysis", "first_fragment", "total"}
    for member in ("metadata", "data", "data_error", "warning", "usage", "task_id", "asset_id", "generation_id"):
        assert written[member] is None


def test_an_event_begins_with_its_type_and_whose_it_is() -> None:
    value, _ = encode(Accepted(request_id="r", attempt=1, time=TIME), source="/reelwire", event_id="x")

    assert (
        value
        == b'{"type":"accepted","request_id":"r","run":1,"attempt":1,"time":"%b","metadata":null,"tenant":null}'
        % TIME.encode()
    )


def test_every_event_has_an_example_and_is_in_its_union() -> None:
    assert {example["type"] for example in load("events").values()} == set(EVENTS)
    assert set(get_args(get_args(CompletionEvent)[0])) == set(COMPLETIONS.values())
    assert set(get_args(get_args(ProgressEvent)[0])) == set(PROGRESS.values())


@pytest.mark.parametrize("name", load("events"))
def test_an_example_is_read_and_written_unchanged(name: str) -> None:
    example = load("events")[name]

    event = parse_event(orjson.dumps(example))

    assert type(event) is EVENTS[example["type"]]
    assert orjson.loads(encode(event, source="/reelwire", event_id="x")[0]) == example


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"{}",
        b"[]",
        b'{"type":"finished"}',
        b'{"type":"accepted","request_id":"r","attempt":0,"time":"now"}',
        b"\xff",
    ],
)
def test_what_is_no_event_is_a_value_error(value: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_event(value)


def test_events_cannot_be_changed_and_check_their_time() -> None:
    event = Accepted(request_id="r", attempt=1, time=TIME)
    with pytest.raises(ValidationError):
        event.attempt = 2  # type: ignore[misc]
    with pytest.raises(ValidationError):
        Accepted(request_id="r", attempt=1, time="yesterday")


def test_codes_are_of_the_stage_the_contract_lists_them_under() -> None:
    by_stage = {stage: {code.value for code in ErrorCode if code.stage is stage} for stage in Stage}

    assert by_stage == {
        Stage.REQUEST: {
            "source_not_allowed",
            "source_not_found",
            "source_unreadable",
            "mode_not_possible",
            "deadline_exceeded",
            "budget_exceeded",
            "internal_error",
        },
        Stage.UPLOAD: {"asset_failed", "upload_failed"},
        Stage.ANALYSIS: {
            "rejected",
            "task_failed",
            "stream_failed",
            "interrupted",
            "outcome_unknown",
            "platform_unavailable",
            "result_too_large",
        },
    }


def test_a_failure_says_what_the_platform_said_or_null() -> None:
    error = ErrorInfo(code=ErrorCode.UPLOAD_FAILED, message="m", stage=Stage.UPLOAD, retryable=True)

    written = orjson.loads(
        encode(Failed(request_id="r", attempt=1, time=TIME, error=error), source="/", event_id="x")[0]
    )

    assert written["error"] == {
        "code": "upload_failed",
        "message": "m",
        "stage": "upload",
        "retryable": True,
        "platform": None,
    }
