"""What a rerun sends: which requests, with which run, and what of the original record is changed."""

from __future__ import annotations

import base64
import json

import orjson
import pytest

from contracts.requests import AnalyzeRequest, parse_request
from service.cli.reading.reruns import End, Rerun, Sent, plan, value_for
from service.kafka.ports import InRecord

pytestmark = pytest.mark.unit

AT = 1_800_000_000.0
BODY = {"request_id": "r", "prompt": "p", "video": {"type": "url", "url": "https://media.example.com/v.mp4"}}


def end(run: int = 1, seconds: float = AT) -> End:
    return End("failed", run, seconds, "task_failed")


def sent(run: int, *, after: float, deadline: float | None = None) -> Sent:
    return Sent(7, run, int((AT + after) * 1000), deadline)


def planned(ends: dict[str, End], records: dict[str, Sent], *, keep_deadline: bool = True) -> list[object]:
    by_place = {(1, name): one for name, one in ends.items()}
    return list(
        plan(by_place, {(1, name): one for name, one in records.items()}, AT + 100, keep_deadline=keep_deadline)
    )


def test_each_gets_the_next_run_in_the_order_of_their_ends() -> None:
    ends = {"late": end(seconds=AT + 5), "early": end(3)}
    records = {"late": sent(1, after=-90), "early": sent(3, after=-90)}
    assert planned(ends, records) == [
        Rerun("early", 1, 7, 4, "task_failed"),
        Rerun("late", 1, 7, 2, "task_failed"),
    ]


def test_a_run_that_was_sent_already_is_not_sent_again() -> None:
    assert planned({"r": end(1)}, {"r": sent(2, after=3)}) == [("r", "sent_already")]


def test_a_higher_run_that_was_a_duplicate_of_the_lower_one_counts_for_its_number_only() -> None:
    assert planned({"r": end(1)}, {"r": sent(5, after=-3_600)}) == [Rerun("r", 1, 7, 6, "task_failed")]


def test_a_request_whose_record_is_gone_can_t_be_sent_again() -> None:
    assert planned({"r": end(1)}, {}) == [("r", "request_gone")]


def test_a_deadline_that_has_passed_is_in_the_way_unless_it_is_taken_out() -> None:
    records = {"r": sent(1, after=-90, deadline=AT + 50)}
    assert planned({"r": end(1)}, records) == [("r", "deadline_past")]
    assert planned({"r": end(1)}, records, keep_deadline=False) == [Rerun("r", 1, 7, 2, "task_failed")]
    assert planned({"r": end(1)}, {"r": sent(1, after=-90, deadline=AT + 500)}) != [("r", "deadline_past")]


def record(value: bytes, *headers: tuple[str, bytes]) -> InRecord:
    return InRecord("requests", 1, 7, 0, b"cam7", value, headers)


def run_of(value: bytes, *headers: tuple[str, bytes]) -> int:
    request = parse_request(value, headers, max_bytes=10**6).request
    assert isinstance(request, AnalyzeRequest)
    return request.run


def test_a_bare_request_keeps_every_member_as_it_was() -> None:
    value = (
        b'\xef\xbb\xbf{"request_id": "r", "run": 3, "prompt": "\xc3\xa4", "unknown": [1.0, 12345678901234567890123], '
        b'"deadline": "2030-01-01T00:00:00Z"}'
    )
    changed = json.loads(value_for(record(value), 4, keep_deadline=True))
    assert changed == json.loads(value.decode("utf-8-sig")) | {"run": 4}
    assert changed["unknown"][1] == 12345678901234567890123
    assert "deadline" not in json.loads(value_for(record(value), 4, keep_deadline=False))


@pytest.mark.parametrize("encoded", [False, True])
def test_a_structured_event_stays_one(encoded: bool) -> None:
    data = {"data_base64": base64.b64encode(orjson.dumps(BODY)).decode()} if encoded else {"data": BODY}
    envelope = {"specversion": "1.0", "id": "e-1", "source": "s", "type": "t", "traceparent": "00-1"} | data
    header = ("content-type", b"application/cloudevents+json")
    changed = value_for(record(orjson.dumps(envelope), header), 2, keep_deadline=True)
    assert run_of(changed, header) == 2
    kept = orjson.loads(changed)
    assert kept["data"] == BODY | {"run": 2}
    assert {name: kept[name] for name in ("specversion", "id", "source", "type", "traceparent")} == {
        name: envelope[name] for name in ("specversion", "id", "source", "type", "traceparent")
    }
    assert "data_base64" not in kept


def test_a_binary_event_is_changed_like_a_bare_request() -> None:
    headers = (("ce_specversion", b"1.0"), ("ce_id", b"1"), ("content-type", b"application/json"))
    changed = value_for(record(orjson.dumps(BODY), *headers), 9, keep_deadline=True)
    assert orjson.loads(changed) == BODY | {"run": 9}
    assert run_of(changed, *headers) == 9
