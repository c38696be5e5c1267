"""Signatures of webhooks: the platform's own rule, and everything that is no signature."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.ops.webhooks.deliveries import Deliveries
from service.ops.webhooks.signature import WebhookRefused, sign, verify

# The example of the platform's documents.
SECRET = "whsec_example"
BODY = (
    b'{"id":"whe_0c1f","created_at":"2026-03-04T05:06:07Z","type":"analyze.task.ready","data":'
    b'{"id":"64f8d2c7e4a1b37f8a9c5d12","custom_id":"cam-7-0001","status":"ready","created_at":"2026-03-04T05:00:00Z"}}'
)
DIGEST = "d09f565f45bffeb2ff2cc781fcd155320f0b1fc2ca06127b68fa0caef9e32cc0"
NOW = 1772600767


def outcome_of(
    header: str | None, *, body: bytes = BODY, now: float = NOW, secrets: tuple[str, ...] = (SECRET,)
) -> str:
    try:
        verify(header, body, secrets, now)
    except WebhookRefused as refused:
        return refused.outcome
    return "accepted"


@pytest.mark.parametrize(
    "header",
    [
        f"t={NOW},v1={DIGEST}",
        f"v1={DIGEST},t={NOW}",
        f"t={NOW}, v0=x, v1={'0' * 64}, v1={DIGEST}, new=a=b",
    ],
)
def test_the_example_of_the_documents_is_authentic_in_any_order(header: str) -> None:
    assert outcome_of(header) == "accepted"


def test_while_a_secret_is_replaced_both_are_accepted() -> None:
    header = f"t={NOW},v1={DIGEST}"
    assert outcome_of(header, secrets=("new", SECRET)) == "accepted"
    assert outcome_of(header, secrets=("new",)) == "forged"


@pytest.mark.parametrize("seconds", [-299, 299])
def test_a_time_within_the_tolerance_is_accepted(seconds: int) -> None:
    assert outcome_of(f"t={NOW},v1={DIGEST}", now=NOW + seconds) == "accepted"


@pytest.mark.parametrize("seconds", [-301, 301, 86_400])
def test_a_time_outside_the_tolerance_is_stale_in_both_directions(seconds: int) -> None:
    assert outcome_of(f"t={NOW},v1={DIGEST}", now=NOW + seconds) == "stale"


def test_another_time_or_body_than_was_signed_is_a_forgery() -> None:
    assert outcome_of(f"t={NOW + 1},v1={DIGEST}") == "forged"
    assert outcome_of(f"t={NOW},v1={DIGEST}", body=BODY + b" ") == "forged"
    assert outcome_of(f"t={NOW},v1={sign('', str(NOW), BODY)}") == "forged"


@pytest.mark.parametrize(
    "header",
    [None, "", "t=1", f"v1={DIGEST}", "t=,v1=", f"t=x,v1={DIGEST}", f"t=-1,v1={DIGEST}", f"t={NOW},v1={DIGEST.upper()}",
     f"t={NOW},t={NOW},v1={DIGEST}", f"t={'9' * 40},v1={DIGEST}", f"t={NOW},v1={DIGEST[:-1]}", "," * 5_000],
)  # fmt: skip
def test_what_is_no_signature_is_malformed(header: str | None) -> None:
    assert outcome_of(header) == "malformed"


@given(st.text(max_size=200), st.binary(max_size=200))
def test_nothing_that_was_not_signed_is_accepted(header: str, body: bytes) -> None:
    assert outcome_of(header, body=body) in ("malformed", "forged")


def test_a_retry_is_a_duplicate_and_a_copy_is_a_replay() -> None:
    taken = Deliveries()
    assert taken.judge("whe_1", "a", 0) == "new"
    assert taken.judge("whe_1", "a", 1) == "new"  # it could not be passed on
    taken.taken("whe_1", "a", 1)
    assert taken.judge("whe_1", "a", 2) == "replayed"
    assert taken.judge("whe_1", "b", 2) == "duplicate"
    assert taken.judge("whe_2", "c", 2) == "new"


def test_what_is_remembered_is_bounded() -> None:
    taken = Deliveries()
    for number in range(30_000):
        taken.taken(f"whe_{number}", str(number), number / 1_000)
    assert taken.judge("whe_0", "x", 30) == "new"
    assert taken.judge("whe_29999", "x", 30) == "duplicate"
