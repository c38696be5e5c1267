"""Partitions that move between processes while streams and calls are under way: nothing is cut or paid twice."""

from __future__ import annotations

from typing import Any

import pytest

from service.domain.change import Slot
from service.domain.handover import Owned, Released, Result
from service.domain.job import Phase
from tests.engine.bench import Bench, analyze
from tests.engine.fake_platform import TEXTS, Held, broken
from tests.engine.processes import STREAM, Processes, stream_held
from tests.support.waiting import passed, settled, until

pytestmark = pytest.mark.unit

SYNC: dict[str, Any] = {"upload": "inline", "mode": "sync"}


async def test_a_stream_goes_on_in_its_process_and_its_result_is_the_new_owner_s(all_of: Processes) -> None:
    async with all_of.make("a") as a, all_of.make("b") as b:
        held = await stream_held(a, *TEXTS)
        await a.lose()
        await b.take_over()
        assert a.engine.carrier.partitions() == {0: 1}
        assert b.told()[-1] == "handed_over"
        held.go.set()
        completion = await b.completed()
        assert (completion["type"], completion["attempt"], completion["text"]) == ("completed", 1, "".join(TEXTS))
        assert [(f["sequence"], f["text"]) for f in b.fragments()] == list(enumerate(TEXTS))
        assert completion["fragments"] == len(TEXTS)
        assert (all_of.calls(), len(a.engine.carrier)) == (1, 0)
        assert a.slots.taken(Slot.STREAM) == 0


async def test_a_call_goes_on_in_its_process(all_of: Processes) -> None:
    async with all_of.make("a") as a, all_of.make("b") as b:
        held = a.platform.hold("analyze")
        await a.take(analyze(**SYNC))
        await held.reached.wait()
        await a.lose()
        await b.take_over()
        held.go.set()
        assert (await b.completed())["attempt"] == 1
        assert all_of.calls() == 1


async def test_a_result_that_comes_before_the_takeover_is_found_by_it(all_of: Processes) -> None:
    async with all_of.make("a") as a, all_of.make("b") as b:
        held = await stream_held(a, *TEXTS)
        await a.lose()
        held.go.set()
        await until(lambda: all_of.said(Result))
        await b.take_over()
        assert (await b.completed())["attempt"] == 1
        assert "handed_over" not in b.told()
        assert all_of.calls() == 1


async def test_a_result_whose_write_was_fenced_is_handed_over(all_of: Processes) -> None:
    async with all_of.make("a") as a, all_of.make("b") as b:
        held = await stream_held(a, *TEXTS)
        a.lease.paying = False
        await a.engine.moving()
        a.writer.held = True
        held.go.set()
        await until(lambda: a.live().unsaved)
        await a.let_go()
        await b.take_over()
        assert (await b.completed())["attempt"] == 1
        assert all_of.calls() == 1


async def _claimed(bench: Bench, *, durable: bool = True) -> None:
    """A stream whose attempt is claimed as a rebalance begins: nothing may be sent."""
    bench.writer.held = True
    batch = await bench.prepare(bench.record(analyze(**STREAM)))
    bench.writer.submit(batch.unit)
    bench.writer.go()
    await batch.durable()
    bench.lease.paying = False
    if durable:
        await until(lambda: bench.live().work is not None)
    else:
        bench.writer.held = True
        await until(lambda: bench.live().job.phase is Phase.STREAMING)


async def test_an_attempt_of_which_nothing_was_sent_keeps_its_number(all_of: Processes) -> None:
    async with all_of.make("a") as a, all_of.make("b") as b:
        await _claimed(a)
        await a.engine.moving()
        await a.let_go()
        await b.take_over()
        assert [note.unused for note in all_of.said(Released)] == [True]
        assert (await b.completed())["attempt"] == 1
        assert "interrupted" not in b.told()
        assert all_of.calls() == 1


async def test_an_attempt_that_was_taken_back_and_is_sent_after_all_is_not_given_away(all_of: Processes) -> None:
    async with all_of.make("a") as a, all_of.make("b") as b:
        await _claimed(a)
        held = Held()
        a.platform.streams.append([TEXTS[0], held, *TEXTS[1:]])
        all_of.notes.held = True
        await a.engine.moving()  # no broker answers: the note is under way when the wait for it is over
        marker = Owned("a", a.clock.monotonic())  # the partition was kept, and marked anew in front of that note
        all_of.notes.notes[0].append(marker)
        all_of.notes.go()
        a.lease.paying = True
        await held.reached.wait()
        assert [type(note) for note in all_of.notes.notes[0]] == [Owned, Released]
        await a.let_go()  # a dies, in no orderly way
        await b.take_over()
        assert (await b.completed())["attempt"] == 2


async def test_an_attempt_whose_claim_is_under_way_keeps_its_number(all_of: Processes) -> None:
    async with all_of.make("a") as a, all_of.make("b") as b:
        await _claimed(a, durable=False)
        await a.engine.moving()
        a.writer.go()
        await settled()
        await a.let_go()
        await b.take_over()
        assert (await b.completed())["attempt"] == 1
        assert "interrupted" not in b.told()


async def test_an_announcement_outlives_a_marker_that_was_under_way(all_of: Processes) -> None:
    async with all_of.make("a") as a, all_of.make("b") as b:
        held = await stream_held(a, *TEXTS)
        marker = Owned("a", a.clock.monotonic())  # the partition was assigned now
        await passed(0.01)
        await a.engine.leave()
        all_of.notes.append(0, marker)  # of the rebalance before: it stands behind what was announced after it
        await a.let_go()
        await b.take_over()
        held.go.set()
        assert (await b.completed())["attempt"] == 1


async def _begun_by_the_next_owner(first: Bench, second: Bench) -> Held:
    """`second` streams the attempt that `first` has claimed and, with nothing of it sent, released."""
    await _claimed(first)
    await first.engine.moving()
    await first.let_go()
    held = Held()
    second.platform.streams.append([TEXTS[0], held, *TEXTS[1:]])
    await second.take_over()
    await held.reached.wait()
    return held


async def test_a_release_that_was_followed_counts_no_more(all_of: Processes) -> None:
    async with all_of.make("a") as a, all_of.make("b") as b, all_of.make("c") as c:
        await _begun_by_the_next_owner(a, b)
        assert b.live().job.attempt == 1
        await b.let_go()  # b dies: what it has begun under that number may be billed
        await c.take_over()
        assert (await c.completed())["attempt"] == 2


async def test_an_attempt_that_a_takeover_began_at_once_is_announced(all_of: Processes) -> None:
    async with all_of.make("a") as a, all_of.make("b") as b, all_of.make("c") as c:
        held = await _begun_by_the_next_owner(a, b)
        await b.lose()
        await c.take_over()
        held.go.set()
        assert (await c.completed())["attempt"] == 1
        assert all_of.calls() == 1


async def test_a_chain_of_three_owners(all_of: Processes) -> None:
    async with all_of.make("a") as a, all_of.make("b") as b, all_of.make("c") as c:
        held = await stream_held(a, *TEXTS)
        await a.lose()
        await b.take_over()
        await passed(7)
        await b.lose()
        await c.take_over()
        await passed(20)
        held.go.set()
        assert (await c.completed())["attempt"] == 1
        assert all_of.calls() == 1
        assert c.told().count("handed_over") == 2


async def test_an_owner_that_dies_while_it_waits_changes_nothing(all_of: Processes) -> None:
    async with all_of.make("a") as a, all_of.make("b") as b, all_of.make("c") as c:
        held = await stream_held(a, *TEXTS)
        await a.lose()
        await b.take_over()
        b.writer.fence()
        await b.book.close()
        await c.take_over()
        held.go.set()
        assert (await c.completed())["attempt"] == 1
        assert all_of.calls() == 1


async def test_a_failure_of_a_carried_attempt_is_the_owner_s_to_repeat(all_of: Processes) -> None:
    async with all_of.make("a") as a, all_of.make("b") as b:
        held = Held()
        a.platform.streams.append([TEXTS[0], held, broken()])
        await a.take(analyze(**STREAM))
        await held.reached.wait()
        await a.lose()
        await b.take_over()
        held.go.set()
        completion = await b.completed()
        assert (completion["type"], completion["attempt"]) == ("completed", 2)
        assert "retrying" in b.told()


async def test_slots_are_given_again_after_a_rebalance(all_of: Processes) -> None:
    async with all_of.make("a") as a:
        a.lease.paying = False
        await a.engine.moving()
        await a.take(analyze("r-2", **STREAM))
        await passed(1)
        assert all_of.calls() == 0
        assert a.phases("r-2") == ["accepted", "ready"]  # nothing is claimed that could not begin
        a.lease.paying = True
        assert (await a.completed("r-2"))["attempt"] == 1


async def test_what_was_announced_in_an_earlier_rebalance_counts_for_nothing(all_of: Processes) -> None:
    async with all_of.make("a") as a, all_of.make("b") as b:
        await stream_held(a, *TEXTS)
        a.lease.paying = False
        await a.engine.moving()
        a.lease.paying = True  # the partition was kept, and marked anew
        all_of.notes.append(0, Owned("a", a.clock.monotonic()))
        await passed(1)
        await a.let_go()  # and then taken by another, not in an orderly way
        await settled()
        assert len(a.engine.carrier) == 0
        await b.take_over()
        assert (await b.completed())["attempt"] == 2
