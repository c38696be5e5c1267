"""The checker of promises finds what it is there to find."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
import pytest

from contracts.cloudevents import encode
from contracts.deadletters import dead_letter_headers
from contracts.events import Accepted, Completed, Fragment, Timings
from contracts.topics import Role
from tests.harness.evidence import Evidence, Record
from tests.harness.invariants import check_invariants

pytestmark = pytest.mark.unit

TIME = "2026-03-04T05:00:00Z"


class Story:
    """Writes a log by hand."""

    def __init__(self) -> None:
        self.seen = Evidence()
        self._offsets: dict[Role, int] = {}

    def write(self, role: Role, key: bytes | None, value: bytes | None, headers: Any = ()) -> None:
        offset = self._offsets.get(role, -1) + 1
        self._offsets[role] = offset
        self.seen.take(Record(role, 0, offset, 0, key, value, tuple(headers)), requests_topic="requests")

    def event(self, role: Role, event: Any, event_id: str) -> None:
        value, headers = encode(event, source="s", event_id=event_id)
        self.write(role, b"k", value, headers)

    def request(self, request_id: str = "a") -> None:
        self.write(Role.REQUESTS, b"k", orjson.dumps({"request_id": request_id}))

    def accepted(self, request_id: str = "a", event_id: str = "0-accepted") -> None:
        self.event(Role.PROGRESS, Accepted(request_id=request_id, attempt=1, time=TIME), event_id)

    def fragment(self, sequence: int, text: str = "x", attempt: int = 1) -> None:
        fragment = Fragment(request_id="a", attempt=attempt, time=TIME, sequence=sequence, text=text)
        self.event(Role.FRAGMENTS, fragment, f"0-{attempt}-{sequence}")

    def completed(self, text: str = "xx", *, fragments: int = 2, attempt: int = 1, event_id: str = "0-end") -> None:
        event = Completed(
            request_id="a",
            attempt=attempt,
            time=TIME,
            mode="stream",
            text=text,
            fragments=fragments,
            timings=Timings(),
        )
        self.event(Role.COMPLETIONS, event, event_id)


def _good() -> Story:
    story = Story()
    story.request()
    story.accepted()
    story.fragment(0)
    story.fragment(1)
    story.completed()
    return story


def test_a_story_that_keeps_every_promise_has_no_findings() -> None:
    story = _good()
    story.request()  # once more: the completion is there again, byte for byte
    story.completed()
    story.write(Role.REQUESTS, None, b"{", [("h", b"1")])
    headers = dead_letter_headers(
        [("h", b"1")], topic="requests", partition=0, offset=2, timestamp_ms=0, code="not_json", message="no",
        failed_at=0, service_version="1", redrive_count=0,
    )  # fmt: skip
    story.write(Role.DEAD_LETTERS, None, b"{", headers)

    assert check_invariants(story.seen) == []


def test_fragments_of_a_frozen_owner_behind_a_higher_attempt_are_ignored() -> None:
    story = Story()
    story.request()
    story.accepted()
    for sequence, attempt in ((0, 1), (0, 2), (1, 1), (1, 2)):
        story.fragment(sequence, attempt=attempt)
    story.completed(attempt=2)

    assert check_invariants(story.seen) == []


def _lost(story: Story) -> None:
    story.request("b")


def _second_end(story: Story) -> None:
    story.completed("xx", event_id="0-end-2")


def _gap(story: Story) -> None:
    story.fragment(3)


def _repeat(story: Story) -> None:
    story.fragment(1)


def _never_asked(story: Story) -> None:
    story.seen.requests.clear()


def _bad_letter(story: Story) -> None:
    story.write(Role.REQUESTS, None, b"{")
    headers = dead_letter_headers(
        [], topic="requests", partition=0, offset=1, timestamp_ms=0, code="not_json", message="no", failed_at=0,
        service_version="1", redrive_count=0,
    )  # fmt: skip
    story.write(Role.DEAD_LETTERS, None, b"{ ", headers)


def _twice_accepted(story: Story) -> None:
    story.accepted(event_id="0-accepted-2")


def _no_event(story: Story) -> None:
    story.write(Role.PROGRESS, b"k", b'{"type":"accepted"}')


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (_lost, "has no completion"),
        (_second_end, "completions that differ"),
        (_gap, "are numbered"),
        (_repeat, "two events are called"),
        (_never_asked, "never asked for"),
        (_bad_letter, "differs in key or value"),
        (_twice_accepted, "accepted 2 times"),
        (_no_event, "is no event"),
    ],
)
def test_a_broken_promise_is_found(spoil: Callable[[Story], None], words: str) -> None:
    story = _good()
    spoil(story)

    assert any(words in finding for finding in check_invariants(story.seen))


def test_a_completion_that_is_not_its_fragments_is_found() -> None:
    story = Story()
    story.request()
    story.accepted()
    story.fragment(0)
    story.completed("other", fragments=2)

    findings = check_invariants(story.seen)
    assert any("are not its text" in finding for finding in findings)
    assert any("counts 2" in finding for finding in findings)


def test_what_was_paid_for_twice_is_found() -> None:
    stats = {
        "tasks": {"by_custom_id": {"a-1": ["t1", "t2"]}, "by_idempotency_key": {"a-1": ["t1"]}},
        "assets": {"by_sha256": {"ff": ["v1", "v2"]}},
    }
    findings = check_invariants(_good().seen, stats)

    assert findings == ["2 tasks were created by custom id a-1", "video ff was uploaded 2 times"]
    assert check_invariants(_good().seen, stats, uploads_once=False) == findings[:1]
