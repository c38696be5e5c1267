"""What is told of failures, of what was left out, and of a backfill that was stopped."""

from __future__ import annotations

import re

import pytest

from contracts.codes import DeadLetterCode, ErrorCode
from service.backfill.listing.left_out import LeftOut
from service.backfill.state import Counts
from service.backfill.status import Status
from service.cli.views.backfill_advice import ADVICE, MAY_SUCCEED, failure_words, left_out_words
from service.cli.views.backfill_screen import as_members, end_words, words
from service.settings import Settings
from service.settings.sources import members

pytestmark = pytest.mark.unit


def test_each_code_has_advice_and_no_other_has() -> None:
    assert set(ADVICE) == {*ErrorCode, *DeadLetterCode, "not_sent"}
    assert set(ADVICE) > MAY_SUCCEED
    assert set(re.findall(r"REELWIRE_\w+", " ".join(ADVICE.values()))) <= set(members(Settings))


def test_sending_again_is_advised_where_it_may_help() -> None:
    (first, last) = failure_words({"source_not_allowed": 3}, 5)
    assert first.startswith("failed: 3 with source_not_allowed: the service may not read them")
    assert "as they are does not help" in last

    assert failure_words({"task_failed": 2}, 5)[-1] == "send them again with the same command and --retry-failed"
    mixed = failure_words({"rejected": 4, "task_failed": 2}, 1)
    assert mixed[1] == "failed: 1 other codes; --report lists every object with its code"
    assert mixed[2].startswith("2 may succeed as they are")
    assert "the 4 others" in mixed[2]
    assert failure_words({"of_a_newer_service": 1}, 5)[0].endswith("the failed events say why")


def test_what_was_left_out_is_told_by_reason() -> None:
    left_out = LeftOut(seen=31)
    for _ in range(30):
        left_out.add("glob")
    left_out.add("size")
    left_out.add("hidden")
    left_out.add_name("/v/a\x07.mp4")
    assert left_out_words(left_out, 0, "file:///v") == [
        "33 files or objects seen in file:///v, none fits; left out: 30 by --glob, 1 by --min-size or --max-size, "
        "1 hidden, 1 with a name that no request can hold",
        "warning: no request can hold 1 of the names (not UTF-8, or control characters in the name of an object); "
        "rename them; the first is /v/a\\x07.mp4",
    ]
    assert left_out_words(LeftOut(), 0, "s3://archive/2091") == ["nothing is below s3://archive/2091; check the name"]
    assert left_out_words(LeftOut(seen=3), 3, "s3://archive") == []
    told = as_members(Status("ended", left_out=left_out))["left_out"]
    assert told == {
        "seen": 33,
        "by_reason": {"glob": 30, "size": 1, "hidden": 1, "name": 1},
        "first_name": "/v/a\\x07.mp4",
    }


def test_a_stopped_one_tells_how_many_were_looked_at() -> None:
    counts = Counts(listed=8, sent=8, completed=8)
    assert end_words(Status("ended", counts, total=8), whole=False).startswith("8 objects looked at, of more: 8 comp")
    assert end_words(Status("ended", counts, total=33, counted=True), whole=False).startswith(
        "8 objects looked at, of 33: 8 completed"
    )
    assert end_words(Status("ended", counts, total=8, counted=True), whole=True).startswith("8 objects: 8 completed")


def test_the_number_of_records_is_told_when_they_are_read() -> None:
    assert words(Status("reading")) == ["reading what is in the topics"]
    assert words(Status("read", read=1_234)) == ["read what is in the topics: 1,234 records"]
