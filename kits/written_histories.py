"""Histories that are written, most of them of what must not happen: `python -m kits.written_histories` makes the files.

What is expected of each is written down here, by the contract; it is not what some assembler says.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from kits.history import HISTORIES, History, Line
from reelwire_client import Record
from reelwire_client.events import TOPICS
from reelwire_client.testing import Play

A = "0/cam7-1/1"
Ends = dict[str, list[list[str | None]]]
_MADE: list[Callable[[], History]] = []


def _history(make: Callable[[], tuple[str, list[Record], list[Line], Ends | None]]) -> Callable[[], History]:
    def made() -> History:
        about, records, changes, ends = make()
        return History(make.__name__.lstrip("_"), about, records, changes, ends)

    _MADE.append(made)
    return made


def _play(name: str = "cam7-1", **options: Any) -> Play:
    return Play(name, **options)


def _text(text: str, attempt: int = 1, stream: str = A) -> Line:
    return ["text", stream, attempt, text]


def _said(kind: str, stream: str = A) -> Line:
    return ["progress", stream, kind]


def _end(kind: str = "completed", stream: str = A) -> Line:
    return ["end", stream, kind]


def _ignored(reason: str, stream: str = A) -> Line:
    return ["ignored", stream, reason]


def _changed(record: Record, **members: Any) -> Record:
    """The record with other members; None takes a member out."""
    body = json.loads(record.value or b"{}") | members
    body = {name: value for name, value in body.items() if value is not None or name not in members}
    return replace(record, value=json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode())


@_history
def _plain_stream() -> tuple[str, list[Record], list[Line], Ends | None]:
    play = _play().accepted().progress("stream_started").text("A car ", "stops.").completed()
    changes = [_said("accepted"), _said("stream_started"), _text("A car "), _text("stops."), _end()]
    return "A stream as it should be.", play.records(), changes, {A: [["completed", "A car stops."]]}


@_history
def _result_without_fragments() -> tuple[str, list[Record], list[Line], Ends | None]:
    play = _play().accepted().completed(text="A car stops.", mode="async", task_id="task-1")
    changes = [_said("accepted"), _text("A car stops."), _end()]
    return "A task: the text comes with the completion.", play.records(), changes, {A: [["completed", "A car stops."]]}


@_history
def _cut_and_restarted() -> tuple[str, list[Record], list[Line], Ends | None]:
    play = _play().text("A car ", "st").cut().text("A van ", "stops.").completed()
    changes = [
        _text("A car "), _text("st"), _said("interrupted"), ["restart", A, 2], _text("A van ", 2), _text("stops.", 2),
        _end(),
    ]  # fmt: skip
    about = "An attempt is cut off. The next one says so with an empty fragment, before it has any text."
    return about, play.records(), changes, {A: [["completed", "A van stops."]]}


@_history
def _frozen_process() -> tuple[str, list[Record], list[Line], Ends | None]:
    play = _play().text("A car ").cut().stray(1, 1, "st").text("A van ").stray(1, 2, "ops.").text("stops.").completed()
    changes = [
        _text("A car "), _said("interrupted"), ["restart", A, 2], _ignored("lower_attempt"), _text("A van ", 2),
        _ignored("lower_attempt"), _text("stops.", 2), _end(),
    ]  # fmt: skip
    about = "A process that was taken for dead goes on with attempt 1 while attempt 2 runs."
    return about, play.records(), changes, {A: [["completed", "A van stops."]]}


@_history
def _everything_twice() -> tuple[str, list[Record], list[Line], Ends | None]:
    once = _play().accepted().text("A car ", "stops.").completed().records()
    changes = [
        _said("accepted"), _ignored("duplicate"), _text("A car "), _ignored("duplicate"), _text("stops."),
        _ignored("duplicate"), _end(), ["repeated", A, "completed", True],
    ]  # fmt: skip
    about = "Each record is there twice, as brokers without transactions allow it."
    return about, [record for record in once for _ in range(2)], changes, {A: [["completed", "A car stops."]]}


@_history
def _completion_before_the_last_fragments() -> tuple[str, list[Record], list[Line], Ends | None]:
    play = _play().accepted().text("A ", "car ", "stops.").completed(ahead_of=2)
    changes = [
        _said("accepted"), _text("A "), _text("car stops."), _end(), _ignored("late"), _ignored("late")
    ]  # fmt: skip
    about = "The completions topic is read faster than the fragments topic."
    return about, play.records(), changes, {A: [["completed", "A car stops."]]}


@_history
def _completion_before_everything() -> tuple[str, list[Record], list[Line], Ends | None]:
    records = _play().accepted().text("A ").cut().text("A car.").completed().records()
    changes = [_text("A car.", 2), _end(), *[_ignored("late")] * 5]
    about = "The completions topic is read first, then all the others."
    return about, [records[-1], *records[:-1]], changes, {A: [["completed", "A car."]]}


@_history
def _completion_of_an_attempt_that_was_not_seen() -> tuple[str, list[Record], list[Line], Ends | None]:
    play = _play().text("A car ")
    play.attempt = 3
    play.completed(text="A van.", fragments=2, mode="stream")
    changes = [_text("A car "), ["restart", A, 3], _text("A van.", 3), _end()]
    about = "Fragments of attempt 1, then the completion of attempt 3, whose fragments come later or never."
    return about, play.records(), changes, {A: [["completed", "A van."]]}


@_history
def _joined_in_the_middle() -> tuple[str, list[Record], list[Line], Ends | None]:
    records = _play().text("A ", "car ", "stops ", "here.").completed().records()[2:]
    about = "The reader began when two fragments had been written: text without a beginning is not shown."
    return about, records, [_text("A car stops here."), _end()], {A: [["completed", "A car stops here."]]}


@_history
def _fragments_out_of_order() -> tuple[str, list[Record], list[Line], Ends | None]:
    play = _play().text("A ").stray(1, 2, "stops").stray(1, 3, ".").stray(1, 2, "stops").stray(1, 1, "car ")
    play.completed(text="A car stops.", fragments=4)
    changes = [_text("A "), _ignored("duplicate"), _text("car stops."), _end()]
    return "Broken: fragments are not in order.", play.records(), changes, {A: [["completed", "A car stops."]]}


@_history
def _gap_that_is_never_filled() -> tuple[str, list[Record], list[Line], Ends | None]:
    play = _play().text("A ").stray(1, 2, "stops.").completed(text="A car stops.", fragments=3)
    changes = [_text("A "), _text("car stops."), _end()]
    return "Broken: a fragment is missing.", play.records(), changes, {A: [["completed", "A car stops."]]}


@_history
def _text_that_is_not_the_fragments() -> tuple[str, list[Record], list[Line], Ends | None]:
    play = _play().text("A car ", "goes.").completed(text="A car stops.")
    changes = [_text("A car "), _text("goes."), ["restart", A, 1], _text("A car stops."), _end()]
    about = "Broken: the fragments are not the beginning of the text. The completion is the truth."
    return about, play.records(), changes, {A: [["completed", "A car stops."]]}


@_history
def _failed_and_canceled() -> tuple[str, list[Record], list[Line], Ends | None]:
    failed = _play().accepted().text("A car ").failed("stream_failed", "The platform ended the stream.").records()
    canceled = _play("cam8-1").accepted().text("A van ").canceled().records()
    other = "0/cam8-1/1"
    changes = [
        _said("accepted"), _said("accepted", other), _text("A car "), _text("A van ", stream=other), _end("failed"),
        _end("canceled", other),
    ]  # fmt: skip
    records = [record for pair in zip(failed, canceled, strict=True) for record in pair]
    return "Ends in mid-stream.", records, changes, {A: [["failed", None]], other: [["canceled", None]]}


@_history
def _repeated_request() -> tuple[str, list[Record], list[Line], Ends | None]:
    play = _play().accepted().text("A car.").completed().progress("duplicate").repeated()
    play.progress("cancel_ignored")
    unknown = _play("nobody", offset=3).progress("cancel_ignored", reason="unknown").records()
    changes = [
        _said("accepted"), _text("A car."), _end(), _said("duplicate"), ["repeated", A, "completed", True],
        _said("cancel_ignored"), _said("cancel_ignored", "0/nobody/1"),
    ]  # fmt: skip
    about = "A finished id is sent again, then canceled; an id that nobody knows is canceled."
    return about, [*play.records(), *unknown], changes, {A: [["completed", "A car."]]}


@_history
def _two_runs() -> tuple[str, list[Record], list[Line], Ends | None]:
    first = _play().accepted().text("A car ", "stops.").completed().records()
    second = _play(offset=1, run=2).accepted().text("A van ", "goes.").completed().records()
    old = [_changed(record, run=None) for record in first]  # as the first version wrote them
    again = "0/cam7-1/2"
    changes = [
        _said("accepted"), _text("A car "), _text("stops."), _end(), _said("accepted", again),
        _text("A van ", stream=again), _ignored("late"), _text("goes.", stream=again), _end(stream=again),
    ]  # fmt: skip
    records = [*old, *second[:2], old[2], *second[2:]]
    about = "A finished id is begun again. The events of the first run have no `run`: they are of run 1."
    return about, records, changes, {A: [["completed", "A car stops."]], again: [["completed", "A van goes."]]}


@_history
def _one_id_in_two_partitions() -> tuple[str, list[Record], list[Line], Ends | None]:
    first = _play().text("A car ", "stops.").completed().records()
    second = _play(partition=1).text("A van ", "goes.").completed().records()
    other = "1/cam7-1/1"
    records = [record for pair in zip(first, second, strict=True) for record in pair]
    changes = [
        _text("A car "), _text("A van ", stream=other), _text("stops."), _text("goes.", stream=other), _end(),
        _end(stream=other),
    ]  # fmt: skip
    ends: Ends = {A: [["completed", "A car stops."]], other: [["completed", "A van goes."]]}
    return "Somebody sends one id with two keys: two jobs.", records, changes, ends


@_history
def _id_used_again_after_the_window() -> tuple[str, list[Record], list[Line], Ends | None]:
    first = _play().completed(text="A car.").records()
    second = _play(offset=900).text("A van.").completed().records()
    changes = [_text("A car."), _end(), _ignored("late"), _text("A van."), _end()]
    about = "The service has forgotten the id and analyses it again: another `ce_id`, so another completion."
    return about, [*first, *second], changes, {A: [["completed", "A car."], ["completed", "A van."]]}


@_history
def _completion_that_was_never_committed() -> tuple[str, list[Record], list[Line], Ends | None]:
    play = _play().text("A car.").completed()
    aborted = play.records()
    second = _play().text("A car.").cut().text("A van.").completed().records()
    changes = [_text("A car."), _end(), *[_ignored("late")] * 3, ["repeated", A, "completed", False]]
    about = "Read with read_uncommitted: a process dies between completion and commit, the next one writes another."
    return about, [*aborted, *second[1:]], changes, {A: [["completed", "A car."]]}


@_history
def _dead_letter() -> tuple[str, list[Record], list[Line], Ends | None]:
    letters = _play(offset=4).refused("invalid", "prompt is missing").records()
    broken = replace(letters[0], headers=tuple(one for one in letters[0].headers if one[0] != "dlq.original.offset"))
    changes: list[Line] = [
        ["refused", TOPICS["requests"], 0, 4, "invalid", "prompt is missing"], ["skipped", "wrong dead letter"]
    ]  # fmt: skip
    return "A request that was none, and a dead letter that is none.", [*letters, broken], changes, {}


@_history
def _unreadable() -> tuple[str, list[Record], list[Line], Ends | None]:
    whole = _play().text("A car.").completed().records()
    fragment, completion = whole
    values: list[tuple[bytes | None, str]] = [
        (None, "no value"),
        (b"", "not JSON"),
        (b"\xff{}", "not JSON"),
        (b'{"type":"fragment"', "not JSON"),
        (b'{"type":"fragment","attempt":NaN}', "not JSON"),
        (b"[1,2]", "not an object"),
        (b"null", "not an object"),
        (b"{}", "unknown type"),
        (b'{"type":"invented","request_id":"cam7-1","attempt":1}', "unknown type"),
        (b'{"type":["fragment"],"request_id":"cam7-1","attempt":1}', "unknown type"),
    ]
    wrong: list[tuple[Record, str]] = [
        (_changed(fragment, request_id=7), "wrong request_id"),
        (_changed(fragment, run=0), "wrong run"),
        (_changed(fragment, attempt="1"), "wrong attempt"),
        (_changed(fragment, attempt=True), "wrong attempt"),
        (_changed(fragment, sequence=-1), "wrong sequence"),
        (_changed(fragment, sequence=0.5), "wrong sequence"),
        (_changed(fragment, text=None), "wrong text"),
        (_changed(completion, text=7), "wrong text"),
    ]
    records = [replace(fragment, value=value) for value, _ in values] + [record for record, _ in wrong]
    changes: list[Line] = [["skipped", reason] for _, reason in [*values, *wrong]]
    about = "Records that are no events, then a stream that they must not harm."
    return about, [*records, *whole], [*changes, _text("A car."), _end()], {A: [["completed", "A car."]]}


@_history
def _without_headers() -> tuple[str, list[Record], list[Line], Ends | None]:
    records = [replace(record, headers=()) for record in _play().accepted().text("A car.").completed().records()]
    changes = [
        _said("accepted"), _text("A car."), _end(), _ignored("late"), ["repeated", A, "completed", True]
    ]  # fmt: skip
    about = "Something in between has lost the headers: records are known by what they say."
    return about, [*records, *records[1:]], changes, {A: [["completed", "A car."]]}


@_history
def _letters_of_the_world() -> tuple[str, list[Record], list[Line], Ends | None]:
    pieces = ["Ein Käfer, ", "車が止まる。", "🚗", "👩‍🚒 ", "e", "\u0301", "\u2028\u0000", '"\\', "fin"]
    play = _play("kamera:7.1").text(*pieces).completed(ahead_of=2)
    stream = "0/kamera:7.1/1"
    changes = [_text(piece, stream=stream) for piece in pieces[:7]]
    changes += [_text('"\\fin', stream=stream), _end(stream=stream), *[_ignored("late", stream)] * 2]
    about = "Letters of one to four bytes, joined signs, line separators: the rest of a text begins at the right place."
    return about, play.records(), changes, {stream: [["completed", "".join(pieces)]]}


def bounded() -> History:
    """Three live streams where two have room, then one with more text than there is room for."""
    plays = [_play(f"cam{number}") for number in (1, 2, 3)]
    one, two, three = ("0/cam1/1", "0/cam2/1", "0/cam3/1")
    records = [record for play in plays for record in play.text("Text ").records()]
    records += plays[0].text("more").records()[1:]
    records += plays[0].completed().records()[2:]
    records += plays[2].text("x" * 400).records()[1:]
    records += plays[2].completed().records()[2:]
    changes: list[Line] = [
        _text("Text ", stream=one), _text("Text ", stream=two), _text("Text ", stream=three), ["forgotten", one],
        ["forgotten", two], _text("Text more", stream=one), _end(stream=one),
        _text("x" * 400, stream=three), ["forgotten", three], _text("Text " + "x" * 400, stream=three),
        _end(stream=three),
    ]  # fmt: skip
    about = "More streams and more text than there is room for: what is forgotten is told, and ends all the same."
    options = {"max_live": 2, "max_ended": 10, "max_held": 500}
    return History("bounded", about, records, changes, None, options)


def written() -> list[History]:
    """All of them."""
    return [*(make() for make in _MADE), bounded()]


def main() -> None:
    """Write the files."""
    for history in written():
        (HISTORIES / f"{history.name}.json").write_text(history.text(), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
