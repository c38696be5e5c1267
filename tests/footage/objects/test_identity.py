"""The request id of an object depends on its name, its content and what is asked of it, and on nothing else."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.patterns import REQUEST_ID
from service.footage.objects.identity import object_request_id, work_of

pytestmark = pytest.mark.unit

URI = "s3://archive/2019/0412.mp4"
WORK = work_of({"prompt": "What happens?"})
ASCII = st.sampled_from("ab/-")


def test_the_id_can_be_read_and_stays_the_same_in_every_version_of_the_program() -> None:
    assert object_request_id(URI, '"abc"', WORK) == "archive-2019-0412.mp4-" + "2f854b1ec52c8f277649eecb27d41008"


def test_an_etag_has_the_same_meaning_with_and_without_its_quotes() -> None:
    assert object_request_id(URI, '"abc"', WORK) == object_request_id(URI, "abc", WORK)
    assert object_request_id(URI, 'W/"abc"', WORK) == object_request_id(URI, "abc", WORK)


@pytest.mark.parametrize(
    "other",
    [
        object_request_id("s3://archive/2019/0413.mp4", "abc", WORK),
        object_request_id("gs://archive/2019/0412.mp4", "abc", WORK),
        object_request_id("s3://archive/2019-0412.mp4", "abc", WORK),
        object_request_id(URI, "abd", WORK),
        object_request_id(URI, "abc", work_of({"prompt": "Who is there?"})),
        object_request_id(URI, "abc", work_of({"prompt": "What happens?", "tenant": "a"})),
    ],
)
def test_another_object_another_content_and_other_work_have_other_ids(other: str) -> None:
    assert other != object_request_id(URI, "abc", WORK)


@given(st.text(st.characters(exclude_categories=["Cs"])), st.text(st.characters(exclude_categories=["Cs"])))
def test_every_name_gives_an_id_that_the_contract_allows(key: str, version: str) -> None:
    assert re.fullmatch(REQUEST_ID.regex, object_request_id(f"s3://bucket/{key}", version, WORK))


@given(st.text(ASCII, max_size=4), st.text(ASCII, max_size=4), st.binary(max_size=4), st.integers(0, 4))
def test_parts_do_not_run_into_each_other(key: str, version: str, work: bytes, moved: int) -> None:
    other = (f"s3://b/{key}{version[:moved]}", version[moved:])
    if other != (f"s3://b/{key}", version):
        assert object_request_id(f"s3://b/{key}", version, work) != object_request_id(*other, work)


def test_how_and_when_it_is_done_is_not_the_work() -> None:
    plain = {"prompt": "What happens?", "max_tokens": 600, "temperature": None}
    other = {
        "max_tokens": 600,
        "priority": "low",
        "mode": "async",
        "batch": True,
        "request_id": "x",
        "metadata": {"a": 1},
        "prompt": "What happens?",
    }
    assert work_of(plain) == work_of(other)
    assert work_of(plain) != work_of(plain | {"max_tokens": 601})
