from __future__ import annotations

import pytest

from service.kafka.logs.claims import ClaimRecord, ClaimTable, read_claim

pytestmark = pytest.mark.unit


def _claim(token: str, *, since: int | None = None) -> ClaimRecord:
    return ClaimRecord("video", token, 15.0, since)


def test_the_earliest_claim_in_the_log_wins() -> None:
    table = ClaimTable()
    table.seen(_claim("b"), 10, now=0)
    table.seen(_claim("a"), 11, now=0)
    assert table.holder("video", 1) == ("b", 15)


def test_a_claim_that_is_not_renewed_ends_and_the_next_one_holds() -> None:
    table = ClaimTable()
    table.seen(_claim("a"), 10, now=0)
    table.seen(_claim("b"), 11, now=5)
    assert table.holder("video", 15.0) == ("b", 20)
    assert table.holder("video", 20.0) is None


def test_a_renewal_keeps_its_rank() -> None:
    table = ClaimTable()
    table.seen(_claim("a"), 10, now=0)
    table.seen(_claim("b"), 11, now=0)
    table.seen(_claim("a", since=10), 12, now=10)
    assert table.holder("video", 20) == ("a", 25)


def test_a_renewal_that_comes_too_late_goes_to_the_end_of_the_line() -> None:
    table = ClaimTable()
    table.seen(_claim("a"), 10, now=0)
    table.seen(_claim("b"), 11, now=14)
    table.seen(_claim("a", since=10), 12, now=16)
    assert table.holder("video", 17) == ("b", 29)


def test_a_renewal_whose_claim_was_compacted_away_keeps_the_old_rank() -> None:
    table = ClaimTable()
    table.seen(_claim("b"), 11, now=0)
    table.seen(_claim("a", since=10), 12, now=0)
    assert table.holder("video", 1) == ("a", 15)


def test_an_old_claim_read_at_a_start_lasts_only_as_long_as_it_still_has() -> None:
    table = ClaimTable()
    table.seen(_claim("a"), 10, now=100, age_seconds=12)
    assert table.holder("video", 102.9) == ("a", 103)
    assert table.holder("video", 103) is None
    table.seen(_claim("c"), 11, now=100, age_seconds=-500)  # a clock that is ahead
    assert table.holder("video", 114) == ("c", 115)


def test_a_claim_that_is_given_up_is_forgotten() -> None:
    table = ClaimTable()
    table.seen(_claim("a"), 10, now=0)
    table.given_up("video", "a")
    table.given_up("video", "never")
    assert table.holder("video", 1) is None
    assert len(table) == 0


def test_sweeping_forgets_what_is_over_and_nothing_else() -> None:
    table = ClaimTable()
    table.seen(_claim("a"), 10, now=0)
    table.seen(_claim("b"), 11, now=10)
    table.sweep(16)
    assert not table.knows("video", "a")
    assert table.knows("video", "b")


def test_a_claim_is_read_as_it_was_written() -> None:
    claim = ClaimRecord("sha256:1/2", "t0", 15.0, 7)
    record = claim.record("assets", 3)
    assert record.key is not None
    assert read_claim(record.key, record.value) == ("sha256:1/2", "t0", claim)
    assert read_claim(record.key, None) == ("sha256:1/2", "t0", None)


@pytest.mark.parametrize("value", [b"", b"{}", b'{"v":2,"ttl_seconds":1,"since":null}', b"\xff", b"[]"])
def test_a_claim_of_another_version_is_no_claim(value: bytes) -> None:
    assert read_claim(b"!claim/t/i", value) is None
