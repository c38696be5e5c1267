"""How carrying ends before its attempt does: a lease that runs out, a cancel, a takeover of our own, a drain."""

from __future__ import annotations

import pytest

from service.clock import rfc3339
from service.domain.change import Slot
from service.domain.handover import Carrying, Released, Result, Stop
from tests.engine.bench import analyze, cancel
from tests.engine.fake_platform import TEXTS, Held
from tests.engine.processes import STREAM, Processes, stream_held
from tests.support.waiting import passed, settled, until

pytestmark = pytest.mark.unit


async def test_a_carrier_that_dies_is_noticed_within_twelve_seconds(all_of: Processes) -> None:
    async with all_of.make("a") as a, all_of.make("b") as b:
        await stream_held(a, *TEXTS)
        await a.lose()
        await b.take_over()
        await passed(4)
        a.engine.carrier.renew = lambda: None  # type: ignore[method-assign]
        await passed(8)
        assert b.told()[-1] == "handed_over"
        await passed(4)
        completion = await b.completed()
        assert (completion["type"], completion["attempt"]) == ("completed", 2)
        assert [e["attempt"] for e in b.progress() if e["type"] == "interrupted"] == [1]
        await until(lambda: not len(a.engine.carrier), "the stop of the owner")
        assert a.platform.open_streams == 0


async def test_a_carrier_without_its_lease_holds_back_and_gets_it_again_by_reading(all_of: Processes) -> None:
    async with all_of.make("a") as a, all_of.make("b") as b:
        held = await stream_held(a, *TEXTS)
        await a.lose()
        await b.take_over()
        all_of.notes.held = True  # Kafka is away: no note arrives, and nobody can tell what is in the topic
        await passed(60)
        held.go.set()
        await passed(1)
        assert [f["text"] for f in b.fragments()] == [TEXTS[0]]
        all_of.notes.go()
        await until(lambda: a.engine.carrier.may_send(0))
        a.sender.go()
        assert (await b.completed())["attempt"] == 1
        assert [(f["sequence"], f["text"]) for f in b.fragments()] == list(enumerate(TEXTS))
        assert all_of.calls() == 1


async def test_a_long_outage_does_not_heap_up_renewals(all_of: Processes) -> None:
    async with all_of.make("a") as a, all_of.make("b") as b:
        held = await stream_held(a, *TEXTS)
        await a.lose()
        await b.take_over()
        all_of.notes.held = True
        await passed(600)
        assert all_of.notes.waiting() == 1
        all_of.notes.go()
        await until(lambda: a.engine.carrier.may_send(0))
        a.sender.go()
        held.go.set()
        assert (await b.completed())["attempt"] == 1


async def test_a_canceled_request_stops_its_carrier(all_of: Processes) -> None:
    async with all_of.make("a") as a, all_of.make("b") as b:
        await stream_held(a, *TEXTS)
        await a.lose()
        await b.take_over()
        await b.take(cancel())
        assert (await b.completed())["type"] == "canceled"
        await until(lambda: not len(a.engine.carrier))
        assert a.platform.open_streams == 0
        assert len(all_of.said(Stop)) == 1
        assert all_of.said(Result) == []


async def test_a_deadline_stops_its_carrier(all_of: Processes) -> None:
    async with all_of.make("a") as a, all_of.make("b") as b:
        held = Held()
        a.platform.streams.append([TEXTS[0], held, TEXTS[1]])
        await a.take(analyze(**STREAM, deadline=rfc3339(a.clock.time() + 30)))
        await held.reached.wait()
        await a.lose()
        await b.take_over()
        await passed(31)
        assert (await b.completed())["error"]["code"] == "deadline_exceeded"
        await until(lambda: not len(a.engine.carrier))


async def test_a_process_that_gets_its_partition_back_goes_on_itself(all_of: Processes) -> None:
    async with all_of.make("a") as a, all_of.make("b") as b:
        held = await stream_held(a, *TEXTS)
        await a.lose()
        await b.take_over()
        await b.lose()
        await a.take_over()
        assert len(a.engine.carrier) == 0
        held.go.set()
        assert (await a.completed())["attempt"] == 1
        assert all_of.calls() == 1


async def test_a_writer_that_dies_cuts_nothing(all_of: Processes) -> None:
    async with all_of.make("a") as a:
        held = await stream_held(a, *TEXTS)
        await a.let_go(for_good=False)
        await passed(5)
        await a.take_over()
        held.go.set()
        completion = await a.completed()
        assert (completion["attempt"], completion["text"]) == (1, "".join(TEXTS))
        assert all_of.calls() == 1


async def test_a_result_that_its_dead_writer_did_not_take_is_not_lost(all_of: Processes) -> None:
    async with all_of.make("a") as a:
        held = await stream_held(a, *TEXTS)
        a.writer.held = True
        held.go.set()
        await until(lambda: a.live().unsaved)
        await a.let_go(for_good=False)
        await a.take_over()
        assert (await a.completed())["attempt"] == 1
        assert all_of.calls() == 1


async def test_what_was_not_announced_is_cut_when_the_partition_is_another_s(all_of: Processes) -> None:
    async with all_of.make("a") as a, all_of.make("b") as b:
        await stream_held(a, *TEXTS)
        await a.let_go()
        await settled()
        assert (len(a.engine.carrier), a.slots.taken(Slot.STREAM)) == (0, 0)
        await b.take_over()
        completion = await b.completed()
        assert completion["attempt"] == 2


async def test_a_process_that_lost_its_lease_announces_nothing(all_of: Processes) -> None:
    async with all_of.make("a") as a:
        await stream_held(a, *TEXTS)
        a.lease.on = False
        await a.lose()
        a.lease.on = True
        assert all_of.said(Carrying) == []
        assert len(a.engine.carrier) == 0


async def test_what_outlasts_the_drain_is_released_and_begins_again_at_once(all_of: Processes) -> None:
    async with all_of.make("a") as a, all_of.make("b") as b:
        await stream_held(a, *TEXTS)
        await a.engine.leave()
        await a.let_go()
        await b.take_over()
        await a.engine.drain(5)
        assert [note.unused for note in all_of.said(Released)] == [False]
        completion = await b.completed()
        assert (completion["type"], completion["attempt"]) == ("completed", 2)
        assert a.platform.open_streams == 0


async def test_the_drain_ends_with_the_last_attempt(all_of: Processes) -> None:
    async with all_of.make("a") as a, all_of.make("b") as b:
        held = await stream_held(a, *TEXTS)
        await a.engine.leave()
        await a.let_go()
        await b.take_over()
        held.go.set()
        began = a.clock.monotonic()
        await a.engine.drain(3_600)
        assert a.clock.monotonic() - began < 1
        assert (await b.completed())["attempt"] == 1
