"""The state says the same whatever the order in which records are read."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import orjson
import pytest
from aiokafka import TopicPartition

from contracts.deadletters import dead_letter_headers
from service.backfill.backlog import unread
from service.backfill.estimate import Assumptions, need, seconds_left
from service.backfill.pressure import Limits, reason_to_wait
from service.backfill.records import Decoder, Ended, Read, Refused, Sent
from service.backfill.state import Counts, State
from service.domain.result.cost import Prices
from service.kafka.ports import InRecord
from service.settings import TopicSettings

pytestmark = pytest.mark.unit

ID = "archive-a.mp4-" + "0" * 32
TOPICS = TopicSettings()


@pytest.fixture
def state() -> Iterator[State]:
    opened = State.open(None, "backfill")
    opened.take_listed([(ID, "s3://archive/a.mp4", 1_000)])
    yield opened
    opened.close()


def read(*said: Sent | Ended | Refused) -> list[Read]:
    return [Read("t", 0, offset, one) for offset, one in enumerate(said)]


SENT = Sent(ID, 1, "s3://archive/a.mp4", 0, 7, 1_000)
AGAIN = Sent(ID, 2, "s3://archive/a.mp4", 0, 9, 2_000)
FAILED = Ended(ID, 1, "failed", code="task_failed", seconds=3)
COMPLETED = Ended(ID, 2, "completed", minutes=1.5, cost=0.3, seconds=4)


@pytest.mark.parametrize("order", list(itertools.permutations([SENT, AGAIN, FAILED, COMPLETED])))
def test_the_highest_run_counts(state: State, order: tuple[Sent | Ended, ...]) -> None:
    state.take(read(*order))
    (row,) = state.rows()
    assert (row.status, row.code, row.minutes, row.cost, row.seconds) == ("completed", None, 1.5, 0.3, 4)
    assert (state.waiting(), state.counts().completed, state.counts().ended_bytes) == (0, 1, 1_000)


def test_a_request_is_open_until_its_last_run_has_ended(state: State) -> None:
    known = state.known(ID)
    assert known is None
    state.take(read(SENT))
    assert (state.waiting(), state.counts().sent) == (1, 1)
    state.take(read(FAILED))
    known = state.known(ID)
    assert known is not None
    assert (known.failed, known.run, state.failures()) == (True, 1, {"task_failed": 1})
    state.sent([AGAIN])
    assert (state.waiting(), state.counts().failed, state.last_sent_ms()) == (1, 0, 2_000)


@pytest.mark.parametrize("order", [(SENT, Refused(0, 7, "invalid")), (Refused(0, 7, "invalid"), SENT)])
def test_a_dead_letter_is_found_by_the_place_of_its_request(state: State, order: tuple[Sent | Refused, ...]) -> None:
    state.take(read(*order))
    (row,) = state.rows()
    assert (row.status, row.code, state.waiting()) == ("dead_letter", "invalid", 0)


def test_what_is_too_old_to_have_an_end_is_told_as_such(state: State) -> None:
    state.take(read(SENT))
    state.forget_before(1_000)
    assert state.waiting() == 1
    state.forget_before(1_001)
    assert (state.waiting(), state.counts().unknown) == (0, 1)


def test_only_what_was_listed_counts(state: State) -> None:
    state.take(read(Sent("other-" + "1" * 32, 1, "s3://archive/b.mp4", 0, 8, 1_000)))
    assert (state.counts().sent, state.waiting(), len(list(state.rows()))) == (0, 0, 1)


def record(topic: str, value: object, headers: tuple[tuple[str, bytes | None], ...] = ()) -> InRecord:
    return InRecord(topic, 0, 7, 1_000, None, orjson.dumps(value), headers)


def test_records_are_decoded_by_their_topic() -> None:
    decode = Decoder(TOPICS)
    request = {"request_id": ID, "video": {"type": "object", "uri": "s3://archive/a.mp4"}, "run": 2}
    assert decode(record(TOPICS.requests, request)).said == Sent(ID, 2, "s3://archive/a.mp4", 0, 7, 1_000)
    assert decode(record(TOPICS.requests, {"type": "cancel", "request_id": ID})).said is None
    assert decode(record(TOPICS.requests, {"request_id": "mine"})).said is None
    assert decode(record(TOPICS.requests, [1])).said is None
    subject: tuple[tuple[str, bytes | None], ...] = (("ce_subject", ID.encode()),)
    completion = {
        "type": "completed",
        "request_id": ID,
        "run": 1,
        "usage": {"billed_minutes": 1, "estimated_cost": 0.5},
        "timings": {"total": 9.5},
    }
    ended = decode(record(TOPICS.completions, completion, subject)).said
    assert ended == Ended(ID, 1, "completed", minutes=1.0, cost=0.5, seconds=9.5)
    headers = dead_letter_headers(
        (), topic=TOPICS.requests, partition=0, offset=3, timestamp_ms=1, code="invalid", message="m", failed_at=1.0,
        service_version="1", redrive_count=0,
    )  # fmt: skip
    assert decode(record(TOPICS.dead_letters, {}, tuple(headers))).said == Refused(0, 3, "invalid")
    assert decode(record(TOPICS.dead_letters, {}, (("dlq.discard.of", b"t/0:1"),))).said is None


def test_what_was_measured_counts_more_than_what_is_assumed() -> None:
    prices = Prices(per_minute=0.5)
    assumed = need(10, 2_000_000_000, Counts(), Assumptions(prices=prices))
    assert (assumed.minutes, assumed.cost) == (50, 25)
    assert "assumed; --minutes-per-gb changes it" in assumed.basis
    windowed = need(10, 2_000_000_000, Counts(), Assumptions(window_minutes=1, definitions=2))
    assert (windowed.minutes, windowed.cost) == (20, None)
    assert "REELWIRE_COST__PER_MINUTE" in windowed.basis
    done = Counts(
        minutes=100, measured=50, measured_bytes=1_000_000_000, cost=80, priced=50, priced_bytes=1_000_000_000
    )
    measured = need(10, 2_000_000_000, done, Assumptions(prices=prices))
    assert (measured.minutes, measured.cost) == (200, 160)
    assert "measured in 50 completions" in measured.basis


def test_the_time_left_is_at_least_what_the_rate_takes() -> None:
    assert seconds_left(100, 0, 10, 50, None) is None
    assert seconds_left(100, 0, 10, 50, 5.0) == 10
    assert seconds_left(100, 20, 10, 0, None) == 50
    assert seconds_left(100, 100, 10, 90, 1.0) == 90


def test_it_is_told_why_nothing_is_sent() -> None:
    limits = Limits(max_open=10, max_lag=5)
    assert reason_to_wait(limits, 1, 9, 4, 1) is None
    assert "--max-open 10" in (reason_to_wait(limits, 1, 10, 0, 1) or "")
    assert "--max-lag 5" in (reason_to_wait(limits, 1, 0, 5, 1) or "")
    assert "no process of the service is running" in (reason_to_wait(limits, 1, 0, 5, 0) or "")
    assert (reason_to_wait(limits, 1, 0, None, None, "no answer in time") or "").endswith(": no answer in time")


def test_unread_is_counted_over_all_partitions_from_what_the_group_has_committed() -> None:
    places = [TopicPartition("t", number) for number in range(3)]
    ends = {places[0]: 100, places[1]: 50, places[2]: 0, TopicPartition("other", 0): 9}
    beginnings = dict.fromkeys(ends, 0) | {places[1]: 20}
    assert unread("t", ends, beginnings, {places[0]: 90}) == 9 + 29


def test_an_object_that_no_request_can_name_is_told_apart_from_one_that_the_service_refused(state: State) -> None:
    state.take_listed([("no name", "s3://archive/a\nb.mp4", 1)])
    state.refuse("no name", "source_not_allowed")
    assert state.failures() == {"not_sent": 1}
    assert [(row.status, row.code) for row in state.rows()][-1] == ("not_sent", "source_not_allowed")
