from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.job import Ending, Job, Mode, Phase, UnreadableJobRecord, decode_job, encode_job
from tests.domain.builders import NOW, job_in, job_of, request_of

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
MS = st.integers(min_value=0, max_value=2**53)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


@st.composite
def jobs(draw: st.DrawFn) -> Job:
    request_id = draw(st.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9._:-]{0,127}\Z"))
    request = request_of(request_id=request_id, metadata=draw(_METADATA))
    return job_of(
        request,
        key=draw(st.none() | st.binary(max_size=20)),
        partition=draw(st.integers(0, 1000)),
        offset=draw(MS),
        deadline_ms=draw(st.none() | st.integers(-(2**53), 2**53)),
        traceparent=draw(st.none() | TEXT),
        tracestate=draw(st.none() | TEXT),
        phase=draw(st.sampled_from(Phase)),
        attempt=draw(st.integers(0, 1000)),
        mode=draw(st.none() | st.sampled_from(Mode)),
        asset_id=draw(st.none() | TEXT),
        duration=draw(st.none() | st.floats(0, 1e6)),
        upload_started_ms=draw(st.none() | MS),
        upload_ended_ms=draw(st.none() | MS),
        attempt_started_ms=draw(st.none() | MS),
        task_id=draw(st.none() | TEXT),
        task_status=draw(st.none() | TEXT),
        failing_since_ms=draw(st.none() | MS),
        failures=draw(st.integers(0, 100)),
        billed_failures=draw(st.integers(0, 100)),
        lost_asset_id=draw(st.none() | TEXT),
        ending=draw(st.none() | st.builds(Ending, TEXT, st.none() | st.just("deadline_exceeded"))),
    )


_METADATA = st.none() | st.dictionaries(st.sampled_from(["a", '","body":', "body", "é\u2028"]), JSON, max_size=3)


@given(jobs())
def test_a_job_is_read_as_it_was_written(job: Job) -> None:
    assert decode_job(encode_job(job)) == job


def test_integers_beyond_64_bits_in_metadata_survive_a_restore() -> None:
    job = job_of(request_of(metadata={"id": 2**70}))
    assert decode_job(encode_job(job)).body == job.body


def test_a_key_that_is_no_text_is_kept() -> None:
    job = job_of(key=b"\xff\x00\xfe")
    assert decode_job(encode_job(job)).key == b"\xff\x00\xfe"


def test_an_empty_key_is_not_no_key() -> None:
    assert decode_job(encode_job(job_of(key=b""))).key == b""


def test_the_request_is_stored_as_json_and_not_as_text_in_json() -> None:
    record = orjson.loads(encode_job(job_of()))
    assert record["body"]["video"]["type"] == "url"
    assert record["v"] == 1


def _record(**changes: Any) -> bytes:
    record = orjson.loads(encode_job(job_in(Phase.WATCHING)))
    body = record.pop("body")
    record |= changes
    record.setdefault("body", body)
    return orjson.dumps({name: value for name, value in record.items() if value is not ...})


@pytest.mark.parametrize("version", [0, 2, "1", None])
def test_a_version_from_elsewhere_is_not_read(version: object) -> None:
    with pytest.raises(UnreadableJobRecord, match="version"):
        decode_job(_record(v=version))


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b'{"v":1}',
        b"\xff\xfe",
        encode_job(job_of())[:-1],
        encode_job(job_of())[1:],
        _record(phase="walking"),
        _record(mode="slow"),
        _record(key="not base64!"),
        _record(key=5),
        _record(ending={"reason": "x"}),
        _record(ending="x"),
        _record(body="x"),
        _record(body=[1]),
        _record(body=None),
    ],
)
def test_a_damaged_record_is_not_guessed_at(value: bytes) -> None:
    with pytest.raises(UnreadableJobRecord):
        decode_job(value)


@pytest.mark.parametrize("member", ["v", "phase", "body", "request_id", "partition", "offset", "digest", "received_ms"])
def test_a_record_without_what_every_job_has_is_not_read(member: str) -> None:
    record = orjson.loads(encode_job(job_of()))
    del record[member]
    with pytest.raises(UnreadableJobRecord):
        decode_job(orjson.dumps(record))


def test_members_that_are_not_known_do_not_hurt() -> None:
    assert decode_job(_record(colour="red")) == job_in(Phase.WATCHING)


def test_events_carry_the_first_attempt_also_before_it_begins() -> None:
    assert job_of().event_attempt == 1
    assert job_of(attempt=1).event_attempt == 1
    assert job_of(attempt=4).event_attempt == 4


def test_changing_a_job_leaves_the_old_one_as_it_was() -> None:
    job = job_of()
    assert job.but(received_ms=NOW).received_ms == NOW
    assert job.received_ms == NOW - 5_000
