"""RFC 3339, written and read."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.instants import parse_rfc3339, rfc3339
from service import clock

pytestmark = pytest.mark.unit


@given(st.floats(min_value=0, max_value=4_000_000_000))
def test_an_instant_is_written_as_the_clock_of_the_service_writes_it(seconds: float) -> None:
    written, theirs = rfc3339(seconds), clock.rfc3339(seconds)

    # Half a microsecond may be rounded either way; it shows only where it crosses a millisecond.
    assert abs((parse_rfc3339(written) - parse_rfc3339(theirs)).total_seconds()) <= 0.001
    if round(seconds * 1_000_000) == int(seconds * 1_000_000 + 0.5):
        assert written == theirs


@given(st.integers(min_value=0, max_value=4_000_000_000_000))
def test_whole_milliseconds_survive_writing_and_reading(ms: int) -> None:
    assert round(parse_rfc3339(rfc3339(ms / 1000)).timestamp() * 1000) == ms


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-03-04T05:00:00Z", datetime(2026, 3, 4, 5, tzinfo=UTC)),
        ("2026-03-04t05:00:00z", datetime(2026, 3, 4, 5, tzinfo=UTC)),
        ("2026-03-04 05:00:00+05:30", datetime(2026, 3, 3, 23, 30, tzinfo=UTC)),
        ("2026-03-04T05:00:00.123456789-00:00", datetime(2026, 3, 4, 5, 0, 0, 123456, tzinfo=UTC)),
        ("2026-03-04T05:00:00.5Z", datetime(2026, 3, 4, 5, 0, 0, 500000, tzinfo=UTC)),
        ("2016-12-31T23:59:60Z", datetime(2017, 1, 1, tzinfo=UTC)),
    ],
)
def test_every_form_of_rfc3339_is_read(text: str, instant: datetime) -> None:
    assert parse_rfc3339(text) == instant


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-03-04",
        "2026-03-04T05:00:00",
        "2026-03-04T05:00Z",
        "20260304T050000Z",
        "2026-13-04T05:00:00Z",
        "2026-03-04T25:00:00Z",
        "2026-03-04T05:00:61Z",
        "2026-03-04T05:00:00+24:00",
        "2026-03-04T05:00:00Z\n",
        "0000-01-01T00:00:00Z",
        "9999-12-31T23:59:60Z",
        "0001-01-01T00:00:00+10:00",
        "٢٠٢٦-03-04T05:00:00Z",
    ],
)
def test_anything_else_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_rfc3339(text)
