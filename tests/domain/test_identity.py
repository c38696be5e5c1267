from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from service.domain.identity import asset_token, attempt_id, event_id, event_source

IDS = st.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9._:-]{0,127}\Z")
PLACES = st.tuples(st.sampled_from(["requests.v1", "requests.v2"]), st.integers(0, 40), st.integers(0, 2**62))


@given(PLACES, IDS, st.integers(1, 99_999))
def test_an_attempt_has_a_name_the_platform_takes(
    position: tuple[str, int, int], request_id: str, attempt: int
) -> None:
    name = attempt_id(*position, request_id, attempt)
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name)
    assert name == attempt_id(*position, request_id, attempt)


@given(st.lists(st.tuples(PLACES, IDS, st.integers(1, 99)), min_size=2, max_size=8, unique=True))
def test_no_two_attempts_share_a_name(attempts: list[tuple[tuple[str, int, int], str, int]]) -> None:
    # One record is one request: where positions agree, so do the ids.
    told_apart = {
        (position, attempt): attempt_id(*position, request_id, attempt) for position, request_id, attempt in attempts
    }
    assert len(set(told_apart.values())) == len(told_apart)


def test_the_position_tells_apart_where_the_request_id_is_cut() -> None:
    long = "x" * 64
    assert attempt_id("t", 0, 1, long, 1) != attempt_id("t", 0, 2, long, 1)
    assert attempt_id("t", 0, 11, long, 1) != attempt_id("t", 1, 1, long, 1)
    assert attempt_id("t", 0, 1, long, 1) != attempt_id("t", 0, 1, long, 11)


def test_a_name_begins_with_the_request_for_people_to_read() -> None:
    assert attempt_id("t", 0, 1, "cam7-918273", 2).startswith("cam7-918273-2-")


def test_what_the_platform_cannot_hold_is_replaced_and_the_name_stays_unique() -> None:
    name = attempt_id("t", 0, 1, "1736006221.203278-ezta1o", 1)
    assert name.startswith("1736006221_203278-ezta1o-1-")
    assert attempt_id("t", 0, 2, "1736006221:203278-ezta1o", 1) != name


def test_names_are_the_same_in_every_release() -> None:
    assert attempt_id("video.analysis.requests.v1", 3, 42, "cam7-918273", 1) == "cam7-918273-1-" + _PLACE
    assert event_id(3, 42, "retrying", 1, 1_790_000_000_000) == "3-42-retrying-1-1790000000000"
    assert event_id(3, 42, "completion") == "3-42-completion"
    assert event_source("video.analysis.requests.v1") == "reelwire/video.analysis.requests.v1"
    assert asset_token("0123456789abcdef0123456789abcdef") == "rw0123456789abcdef01234567"


_PLACE = "0abc6219802e42c8"


@given(st.text("0123456789abcdef", min_size=32, max_size=64))
def test_a_video_has_one_short_token(identity: str) -> None:
    token = asset_token(identity)
    assert re.fullmatch(r"rw[0-9a-f]{24}", token)
    assert token == asset_token(identity)


def test_events_of_different_requests_have_different_ids() -> None:
    assert event_id(1, 12, "accepted", 1) != event_id(11, 2, "accepted", 1)
