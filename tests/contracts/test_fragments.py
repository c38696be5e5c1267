"""The fast encoder writes what the model would."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.cloudevents import encode
from contracts.events import Fragment, parse_event
from contracts.fragments import FragmentEncoder
from contracts.instants import rfc3339

pytestmark = pytest.mark.unit

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
PLAIN = TEXTS.filter(bool)
SECONDS = st.floats(min_value=0, max_value=4_000_000_000)


@given(
    request_id=PLAIN,
    attempt=st.integers(1, 2**62),
    generation_id=st.none() | TEXTS,
    source=PLAIN,
    trace=st.sampled_from([(None, None), (PARENT, None), (PARENT, "a=1,b=2"), (None, "a=1")]),
    fragments=st.lists(st.tuples(TEXTS, SECONDS), min_size=1, max_size=5),
)
def test_fragments_are_encoded_as_the_model_encodes_them(
    request_id: str,
    attempt: int,
    generation_id: str | None,
    source: str,
    trace: tuple[str | None, str | None],
    fragments: list[tuple[str, float]],
) -> None:
    encoder = FragmentEncoder(request_id, attempt, generation_id, source, f"{request_id}-{attempt}", *trace)

    for sequence, (text, seconds) in enumerate(fragments):
        event = Fragment(
            request_id=request_id,
            attempt=attempt,
            time=rfc3339(seconds),
            sequence=sequence,
            text=text,
            generation_id=generation_id,
        )
        value, headers = encoder.encode(sequence, text, seconds)
        assert (value, headers) == encode(
            event,
            source=source,
            event_id=f"{request_id}-{attempt}-{sequence}",
            traceparent=trace[0],
            tracestate=trace[1],
        )
        assert parse_event(value) == event


def test_line_separators_and_control_characters_come_back_as_they_were() -> None:
    text = "".join(map(chr, range(0x20))) + '\x7f\x85\u2028\u2029\ufeff\ufffd\U0010ffff"\\'

    value, _ = FragmentEncoder("r", 1, None, "/s", "r-1").encode(0, text, 0)

    event = parse_event(value)
    assert isinstance(event, Fragment)
    assert event.text == text


def test_the_time_follows_the_clock_across_seconds_and_back() -> None:
    encoder = FragmentEncoder("r", 1, None, "/s", "r-1")

    times = [dict(encoder.encode(0, "", seconds)[1])["ce_time"] for seconds in (1.9999, 2.0, 1.5)]

    assert times == [b"1970-01-01T00:00:01.999Z", b"1970-01-01T00:00:02.000Z", b"1970-01-01T00:00:01.500Z"]
