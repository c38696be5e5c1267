"""Notes as records: read as they were written, in parts where they are large; what can't be read stops nothing."""

from __future__ import annotations

import json
from dataclasses import replace

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.facts import (
    AnalysisEnded,
    AnalysisFailed,
    AttemptCut,
    Fact,
    Failure,
    FailureKind,
    Outcome,
    PlatformErrorDetail,
    ResultTooLarge,
    WorkFailed,
)
from service.domain.handover import Carrying, Note, Owned, Released, Result, Stop
from service.kafka.handover.ended_tasks import encode_ended, ended_task
from service.kafka.handover.records import NoteReader, encode_note
from service.kafka.marker import Marker
from service.kafka.ports import InRecord, OutRecord
from service.kafka.reading.fetched import UnreadableRange
from service.kafka.topics.record_limits import SMALLEST_LIMIT_BYTES, TopicLimits

pytestmark = pytest.mark.unit

TOPIC = "handovers"
TEXTS = st.text(max_size=200)  # half characters too
MAYBE = st.none() | TEXTS
NUMBERS = st.none() | st.integers(0, 2**53)
OUTCOMES = st.builds(
    Outcome, st.text(max_size=3_000), MAYBE, MAYBE, NUMBERS, NUMBERS, MAYBE, MAYBE, st.integers(0, 9), NUMBERS
)
FAILURES = st.builds(
    Failure,
    st.sampled_from(FailureKind),
    TEXTS,
    st.none() | st.builds(PlatformErrorDetail, st.none() | st.integers(100, 599), MAYBE, MAYBE),
    st.none() | st.floats(0, 1e6),
)
FACTS: st.SearchStrategy[Fact] = st.one_of(
    st.builds(AnalysisEnded, OUTCOMES),
    st.builds(AnalysisFailed, FAILURES, st.booleans()),
    st.builds(ResultTooLarge, TEXTS),
    st.builds(WorkFailed, TEXTS),
    st.just(AttemptCut()),
)
IDS = st.sampled_from(["cam7-1", "cam7-2", "x:y.z"])
ATTEMPTS = st.integers(1, 9)
INSTANCES = st.sampled_from(["a" * 32, "b" * 32])
NOTES: st.SearchStrategy[Note] = st.one_of(
    st.builds(Carrying, IDS, ATTEMPTS, INSTANCES, st.integers(0, 60_000)),
    st.builds(Released, IDS, ATTEMPTS, INSTANCES, st.booleans()),
    st.builds(Result, IDS, ATTEMPTS, INSTANCES, FACTS),
    st.builds(Stop, IDS, ATTEMPTS, st.just("the deadline has passed")),
)
_MEMBERS = ["v", "kind", "request_id", "attempt", "instance", "part", "parts", "payload", "id", "good_for_ms"]
_VALUES: st.SearchStrategy[object] = (
    st.none() | st.integers(-5, 5) | st.sampled_from(["carrying", "result", "stop", "x"]) | st.just([])
)
DAMAGED = st.dictionaries(st.sampled_from(_MEMBERS), _VALUES).map(orjson.dumps)
LIMITS = TopicLimits({TOPIC: 4_096})


def read(reader: NoteReader, records: list[OutRecord], first: int = 0) -> list[Note]:
    found = [InRecord(TOPIC, 0, first + n, 0, r.key, r.value, r.headers) for n, r in enumerate(records)]
    return [read.note for read in reader.read(found)]


@given(st.lists(NOTES, max_size=5))
def test_notes_are_read_as_they_were_written(notes: list[Note]) -> None:
    records = [record for note in notes for record in encode_note(note, TOPIC, 0, LIMITS)]
    assert all(LIMITS.fits(record) for record in records)
    assert read(NoteReader(), records) == notes


@given(st.data())
def test_parts_of_several_results_may_be_mixed_and_there_twice(data: st.DataObject) -> None:
    results = [Result(f"r-{n}", 1, "a", AnalysisEnded(Outcome(f"{n}" * 12_000, "stop", "g"))) for n in range(3)]
    queues = [encode_note(result, TOPIC, 0, LIMITS) for result in results]
    assert min(map(len, queues)) > 2
    mixed: list[OutRecord] = []
    while any(queues):
        queue = data.draw(st.sampled_from([queue for queue in queues if queue]))
        mixed.extend([queue[0]] * data.draw(st.integers(1, 2)) if len(mixed) % 5 else [queue[0]])
        del queue[0]
    found = read(NoteReader(), mixed)
    assert {note.request_id for note in found if isinstance(note, Result)} == {"r-0", "r-1", "r-2"}
    assert all(note in results for note in found)


@given(st.text(alphabet='"\\x', min_size=1, max_size=3_000))
def test_a_result_fits_the_smallest_limit_that_a_topic_is_taken_to_have(text: str) -> None:
    limits = TopicLimits({TOPIC: SMALLEST_LIMIT_BYTES})
    result = Result("r" * 128, 99, "a" * 32, AnalysisEnded(Outcome(text, "stop", None)))
    parts = encode_note(result, TOPIC, 0, limits)
    assert all(limits.fits(part) for part in parts)
    assert read(NoteReader(), parts) == [result]


@given(FACTS)
def test_what_a_newer_version_adds_to_a_fact_is_left_out(fact: Fact) -> None:
    (record,) = encode_note(Result("r", 1, "a", fact), TOPIC, 0, TopicLimits())
    members = orjson.loads(record.value or b"")
    payload = json.loads(members["payload"])
    for holder in (payload["members"], *(held for held in payload["members"].values() if isinstance(held, dict))):
        holder["of_a_later_version"] = {"any": "thing"}
    members |= {"payload": json.dumps(payload), "of_a_later_version": 1}
    assert read(NoteReader(), [replace(record, value=orjson.dumps(members))]) == [Result("r", 1, "a", fact)]


def test_a_fact_that_is_nested_without_end_is_passed_over() -> None:
    deep = {"v": 1, "kind": "result", "request_id": "r", "attempt": 1, "instance": "a", "id": "x", "part": 0}
    value = orjson.dumps(deep | {"parts": 1, "payload": "[" * 100_000})
    assert read(NoteReader(), [OutRecord(TOPIC, 0, b"r", value)]) == []


def test_the_parts_of_two_tries_are_not_joined() -> None:
    result = Result("r", 1, "a", AnalysisEnded(Outcome("x" * 20_000, "stop", None)))
    first, second = (encode_note(result, TOPIC, 0, LIMITS) for _ in range(2))
    assert read(NoteReader(), [*first[:2], *second[2:]]) == []
    assert read(NoteReader(), [*first[:2], *second, *first[2:]]) == [result, result]


def test_a_result_whose_first_parts_are_missing_is_left_out_and_its_offset_is_known() -> None:
    parts = encode_note(Result("r", 1, "a", AnalysisEnded(Outcome("x" * 20_000, "stop", None))), TOPIC, 0, LIMITS)
    assert read(NoteReader(), parts[1:]) == []
    reader = NoteReader()
    assert read(reader, parts[:-1], first=40) == []
    assert reader.first_open() == 40
    assert len(read(reader, parts[-1:], first=90)) == 1
    assert reader.first_open() is None


def test_an_ownership_marker_says_who_owns_the_partition() -> None:
    marker = Marker.new("pod-1", 1, "abc")
    assert read(NoteReader(), [marker.record(TOPIC, 0)]) == [Owned("abc")]
    older = OutRecord(TOPIC, 0, b"!marker", orjson.dumps({"v": 1, "id": "x", "owner": "pod-1", "at_ms": 1}))
    assert read(NoteReader(), [older]) == [Owned("")]


@given(st.lists(st.binary(max_size=60) | DAMAGED, max_size=10))
def test_what_can_t_be_read_is_passed_over(values: list[bytes]) -> None:
    reader, last = NoteReader(), Stop("r", 1, "canceled")
    records = [OutRecord(TOPIC, 0, b"r", value) for value in values]
    found = read(reader, [*records, OutRecord(TOPIC, 0, None, None), *encode_note(last, TOPIC, 0, LIMITS)])
    assert found[-1] == last
    assert reader.read([UnreadableRange(TOPIC, 0, 7, 9, "damaged", None)]) == []


def test_word_of_an_ended_task_is_no_note_and_is_heard_by_others_only() -> None:
    out = encode_ended(TOPIC, "task-1", "one")
    record = InRecord(out.topic, out.partition, 7, 0, out.key, out.value, ())
    assert NoteReader().read([record]) == []
    assert ended_task(record, "two") == "task-1"
    assert ended_task(record, "one") is None


@given(st.binary(max_size=200) | st.none())
def test_what_is_no_word_of_an_ended_task_is_passed_over(value: bytes | None) -> None:
    assert ended_task(InRecord(TOPIC, 0, 0, 0, b"k", value, ()), "two") is None
    assert ended_task(UnreadableRange(TOPIC, 0, 0, 3, "damaged", b""), "two") is None
