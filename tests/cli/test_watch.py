"""`watch --request` tells one request to the end of its latest run."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from contracts.deadletters import CODE
from contracts.events import Accepted, Duplicate
from contracts.topics import Role
from service.cli.commands.watch import LatestRun, Wanted
from service.cli.reading.output_record import OutputRecord
from tests.cli.conftest import Command, FakeService
from tests.cli.test_submit import NOW, completed

NUMBERS = itertools.count()


def event(kind: str, at: int, run: int | None = 1, request_id: str = "a") -> OutputRecord:
    role = Role.COMPLETIONS if kind in ("completed", "failed", "canceled") else Role.PROGRESS
    body: dict[str, Any] = {"type": kind, "request_id": request_id} | ({} if run is None else {"run": run})
    return OutputRecord(role, 0, next(NUMBERS), at, request_id, body)


def letter(at: int) -> OutputRecord:
    return OutputRecord(Role.DEAD_LETTERS, 0, next(NUMBERS), at, "a", {}, {CODE: "invalid"})


@pytest.mark.unit
@pytest.mark.parametrize(
    ("seen", "ended_as"),
    [
        ([], None),
        ([event("accepted", 1)], None),
        ([event("accepted", 1), event("completed", 2)], "completed"),
        ([event("completed", 2), event("accepted", 1)], "completed"),
        ([event("completed", 2, run=None)], "completed"),
        ([event("completed", 2), event("accepted", 3, run=2)], None),
        ([event("completed", 2), event("failed", 4, run=2), event("accepted", 3, run=2)], "failed"),
        ([event("failed", 4, run=2), event("completed", 2)], "failed"),
        ([event("accepted", 3, run=2), event("completed", 2)], None),
        ([event("accepted", 1), event("duplicate", 2, run=3), event("completed", 3)], "completed"),
        ([event("cancel_ignored", 1)], None),
        ([event("completed", 2, request_id="b")], None),
        ([letter(1)], "dead_letter"),
        ([event("completed", 2), letter(3)], "dead_letter"),
        ([letter(3), event("completed", 2)], "dead_letter"),
        ([letter(1), event("accepted", 2)], None),
        ([letter(1), event("completed", 2)], "completed"),
        ([event("completed", 2), letter(1)], "completed"),
    ],
)
def test_the_end_is_that_of_the_latest_run_in_whatever_order_topics_are_read(
    seen: list[OutputRecord], ended_as: str | None
) -> None:
    last = LatestRun(Wanted("a", frozenset()))
    for one in seen:
        last.see(one)
    assert last.ended_as() == ended_as


@pytest.mark.unit
def test_without_a_request_nothing_ends() -> None:
    last = LatestRun(Wanted(None, frozenset()))
    last.see(event("completed", 1))
    assert last.ended_as() is None


@pytest.mark.acceptance
async def test_a_request_that_was_rerun_is_told_to_the_end_of_the_later_run(
    reelwire: Command, fake: FakeService
) -> None:
    record = await fake.produce(b"{}", b"r1")
    await fake.publish("completions", completed("r1", 1, "first"), record)
    waits = Duplicate(request_id="r1", run=9, attempt=1, time=NOW, same_body=False)
    await fake.publish("progress", waits, record)
    await fake.publish("progress", Accepted(request_id="r1", run=2, attempt=1, time=NOW), record)
    await fake.publish("completions", completed("r1", 1, "second").model_copy(update={"run": 2}), record)

    told = await reelwire("watch", "--request", "r1", "--from-beginning")
    assert told.code == 0, told.err
    assert [tuple(line.split()[2:6]) for line in told.out.splitlines()] == [
        ("r1", "1", "1", "completed"),
        ("r1", "9", "1", "duplicate"),
        ("r1", "2", "1", "accepted"),
        ("r1", "2", "1", "completed"),
    ]
