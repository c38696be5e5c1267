"""What the console knows of requests, whatever order the topics are read in. No I/O."""

from __future__ import annotations

import itertools
from typing import Any

import orjson
import pytest

from service.console.model.board import Board
from service.console.model.detail import completion_of, detail_of
from service.console.model.entry import Entry, Step
from service.console.model.text import Added
from service.domain.job import Phase
from tests.console.wire import job_of

pytestmark = pytest.mark.unit

EVENT = {"request_id": "a", "attempt": 1, "run": 1, "time": "2026-11-27T06:00:00.000Z"}


class Told:
    """Notes what the board tells."""

    def __init__(self) -> None:
        self.rows: list[str] = []
        self.texts: list[Added] = []
        self.steps: list[str] = []
        self.ends: list[str] = []

    def changed(self, entry: Entry) -> None:
        self.rows.append(entry.shown_phase)

    def grew(self, entry: Entry, added: Added, time_ms: int) -> None:
        self.texts.append(added)

    def stepped(self, entry: Entry, step: Step) -> None:
        self.steps.append(step.type)

    def ended(self, entry: Entry) -> None:
        self.ends.append(entry.shown_phase)

    def forgot(self) -> None:
        self.rows.clear()


def board_of(**bounds: int) -> tuple[Board, Told]:
    told = Told()
    return Board(told, **{"max_ended": 10, "max_bytes": 10_000_000, **bounds}), told


def event(kind: str, **members: Any) -> dict[str, Any]:
    return EVENT | {"type": kind} | members


def shown_of(entry: Entry, process: str | None = None) -> dict[str, Any]:
    return detail_of(entry, process, completion_of(entry))


def fragment(sequence: int, text: str, **members: Any) -> dict[str, Any]:
    return event("fragment", sequence=sequence, text=text, **members)


def complete(board: Board, request_id: str = "a", text: str = "whole", name: str = "1", **members: Any) -> None:
    ended = event(
        "completed", text=text, usage={"estimated_cost": 1.5, "billed_minutes": 3.0}, mode="stream", **members
    )
    ended["request_id"] = request_id
    board.take_completion(0, 5, 1, orjson.dumps(ended), ended, ("source", name))


@pytest.mark.parametrize("order", list(itertools.permutations(range(5))))
def test_every_order_of_the_topics_gives_the_same_end(order: tuple[int, ...]) -> None:
    board, told = board_of()
    parts = [
        lambda: board.take_job(0, 1, "a", job_of("a", phase=Phase.STREAMING)),
        lambda: board.take_progress(0, 7, 1, event("stream_started")),
        lambda: board.take_fragment(0, 1, fragment(0, "who")),
        lambda: complete(board),
        lambda: board.take_job(0, 2, "a", None),
    ]
    for number in order:
        parts[number]()
    entry = board.find("a")
    assert entry is not None
    assert (entry.shown_phase, entry.live, board.live) == ("completed", False, {})
    assert list(board.ended) == [(0, "a")]
    shown = shown_of(entry)
    assert shown["text"] == "whole"
    assert [step["stage"] for step in shown["progress"]] == ["stream_started"]
    assert told.ends == ["completed"]
    assert board.spending.last(100_000, 1_795_759_200_000)[0]["cost"] == 1.5


def test_a_higher_attempt_voids_the_text_and_a_lower_one_is_ignored() -> None:
    board, told = board_of()
    board.take_job(0, 1, "a", job_of("a"))
    for taken in (
        fragment(0, "one "),
        fragment(0, "one "),
        fragment(1, "two"),
        fragment(0, "again", attempt=2),
        fragment(2, "late"),
    ):
        board.take_fragment(0, 1, taken)
    assert told.texts == [
        Added(restarted=False, sequence=0, text="one "),
        Added(restarted=False, sequence=1, text="two"),
        Added(restarted=True, sequence=0, text="again"),
    ]
    assert shown_of(board.live[0, "a"], None)["text"] == "again"


def test_fragments_out_of_order_wait_and_a_text_joined_in_the_middle_is_not_shown() -> None:
    board, told = board_of()
    for sequence, text in ((2, "c"), (1, "b"), (0, "a")):
        board.take_fragment(0, 1, fragment(sequence, text))
    assert told.texts == [Added(restarted=False, sequence=2, text="abc")]
    board.take_fragment(0, 1, fragment(5, "f", attempt=3))
    assert told.texts[-1] == Added(restarted=True, sequence=0, text="")


def test_a_higher_run_begins_anew_and_events_of_a_lower_one_change_nothing() -> None:
    board, _ = board_of()
    board.take_job(0, 1, "a", job_of("a"))
    complete(board)
    board.take_job(0, 3, "a", job_of("a", run=2))
    complete(board, name="2")  # of run 1, published again under another name
    board.take_fragment(0, 1, fragment(0, "old"))
    entry = board.find("a")
    assert entry is not None
    assert (entry.run, entry.end, entry.live, entry.text.fragments) == (2, None, True, 0)
    assert not board.ended


def test_what_ends_is_kept_in_a_ring_and_texts_within_their_bytes() -> None:
    board, _ = board_of(max_ended=3, max_bytes=2_500)
    for number in range(5):
        complete(board, f"r{number}", "x" * 1_000, name=f"n{number}")
    assert [place[1] for place in board.ended] == ["r2", "r3", "r4"]
    assert board.left_out == 2
    assert board.bytes <= 2_500
    assert [one.end.raw is None for one in board.ended.values() if one.end] == [True, False, False]
    oldest = board.find("r2")
    assert oldest is not None
    shown = shown_of(oldest, None)
    assert (shown["text"], shown["completion"]["let_go"], shown["cost"]) == (None, True, 1.5)


def test_live_text_beyond_the_bytes_is_let_go_of_and_nothing_else_is_lost() -> None:
    board, _ = board_of(max_bytes=5_000)
    board.take_job(0, 1, "a", job_of("a"))
    for sequence in range(100):
        board.take_fragment(0, 1, fragment(sequence, "x" * 100))
    assert board.bytes <= 5_000
    assert board.live[0, "a"].text.lost
    complete(board, text="y" * 100)
    entry = board.find("a")
    assert entry is not None
    assert shown_of(entry, None)["text"] == "y" * 100


def test_the_count_of_bytes_is_that_of_what_is_held() -> None:
    board, _ = board_of(max_ended=2)
    for number in range(6):
        name = f"r{number}"
        board.take_job(0, number, name, job_of(name))
        board.take_fragment(0, 1, fragment(0, "some text", request_id=name))
        if number % 2:
            complete(board, name, name=name)
            board.take_job(0, 100 + number, name, None)
    assert board.bytes == sum(entry.held_bytes for entry in board.all())


def test_fragments_that_wait_for_one_before_them_are_counted_and_bounded() -> None:
    board, _ = board_of(max_bytes=500_000)
    board.take_job(0, 1, "a", job_of("a"))
    for sequence in range(1, 20):
        board.take_fragment(0, 1, fragment(sequence, "x" * 50_000))
    entry = board.live[0, "a"]
    assert 200_000 < entry.text.held_bytes < 300_000
    assert board.bytes == entry.held_bytes
    board.take_fragment(0, 1, fragment(0, "y"))
    assert board.bytes == entry.held_bytes
    assert entry.text.whole().startswith("yxxx")


def test_of_a_large_progress_event_a_beginning_is_kept() -> None:
    board, _ = board_of()
    board.take_job(0, 1, "a", job_of("a"))
    members = {f"member {number}": "x" * 1_000 for number in range(1_000)}
    board.take_progress(0, 7, 1, event("retrying", reason="r" * 100_000, detail={"a": [1] * 5_000}, **members))
    (step,) = shown_of(board.live[0, "a"])["progress"]
    assert step["detail"]["reason"] == "r" * 200 + "…"
    assert step["detail"]["detail"] == "(left out: 10007 bytes)"
    assert len(orjson.dumps(step)) < 10_000


def test_strange_records_change_nothing() -> None:
    board, told = board_of()
    for strange in ({}, {"type": 1}, {"request_id": 7, "type": "accepted"}, {"request_id": "a", "type": "duplicate"}):
        board.take_progress(0, 1, 1, strange)
        board.take_fragment(0, 1, strange)
        board.take_completion(0, 5, 1, b"{}", strange, None)
    board.take_fragment(0, 1, fragment(0, "x", run="one", attempt="two", time=3))
    assert told.rows == told.ends == []
    assert list(board.all()) == []


def test_a_large_video_in_the_request_is_not_kept() -> None:
    board, _ = board_of()
    video = {"type": "base64", "base64_string": "A" * 100_000}
    board.take_job(0, 1, "a", job_of("a", request={"video": video, "prompt": "p" * 100_000}))
    shown = shown_of(board.live[0, "a"], "worker-1")
    assert shown["video"]["base64_string"] == "(100000 characters of base64)"
    assert len(shown["prompt"]) < 3_000
    assert shown["process"] == "worker-1"


def test_spans_follow_one_another_without_gaps() -> None:
    board, _ = board_of()
    board.take_job(0, 1, "a", job_of("a"))
    times = ("accepted", "uploading", "asset_ready", "stream_started", "interrupted", "waiting", "stream_started")
    for number, kind in enumerate(times):
        members = {"reason": "quota"} if kind == "waiting" else {}
        step = event(kind, time=f"2026-11-27T06:00:0{number}.000Z", attempt=2 if number > 4 else 1, **members)
        board.take_progress(0, number, 1, step)
    spans = shown_of(board.live[0, "a"], None)["spans"]
    assert [span["label"] for span in spans] == [
        "queued", "upload", "ready", "stream", "interrupted", "waiting: quota", "stream",
    ]  # fmt: skip
    assert all(one["to_ms"] == behind["from_ms"] for one, behind in itertools.pairwise(spans))
    assert spans[-1]["to_ms"] is None
