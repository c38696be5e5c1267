"""The trace of a job, whatever happens to it: one span of the job, one for each attempt, links between processes."""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan

from service.kafka.memory_handovers import MemoryNotes
from tests.engine.bench import Bench, TailedLog, analyze, cancel
from tests.engine.fake_platform import TEXTS, Held, broken
from tests.support.waiting import settled, until
from tests.traces.written import Written, id_of, parent_of

pytestmark = pytest.mark.unit

INLINE: dict[str, Any] = {"upload": "inline", "mode": "stream"}
JOB = "process video.analysis.requests.v1"
SEND = "send video.analysis.completions.v1"


class Fleet:
    """Processes of one group, with the same log. Each writes its own spans."""

    def __init__(self) -> None:
        self._notes = MemoryNotes()
        self._log = TailedLog()
        self.written: dict[str, Written] = {}

    def make(self, name: str, **sections: Any) -> Bench:
        self.written[name] = Written()
        tracer = self.written[name].tracer
        return Bench(log=self._log, notes=self._notes, instance=name, tracer=tracer, **sections)

    def spans(self, name: str) -> list[ReadableSpan]:
        """Of all processes."""
        return [span for written in self.written.values() for span in written.spans(name)]

    def told(self, name: str, member: str) -> list[Any]:
        return [(span.attributes or {}).get(member) for span in self.spans(name)]


@pytest.fixture
def fleet() -> Fleet:
    return Fleet()


async def held_stream(bench: Bench) -> Held:
    """A stream that waits behind its first text."""
    held = Held()
    bench.platform.streams.append([TEXTS[0], held, *TEXTS[1:]])
    await bench.take(analyze(**INLINE))
    await held.reached.wait()
    await settled()
    return held


@pytest.mark.parametrize("mode", ["stream", "sync", "async"])
async def test_a_job_has_its_parts_below_it(fleet: Fleet, mode: str) -> None:
    async with fleet.make("a") as bench:
        await bench.take(analyze(mode=mode))
        if mode == "async":
            await until(lambda: bench.platform.tasks)
            bench.platform.end_task("task-1")
        await bench.completed()
    written = fleet.written["a"]
    job = written.span(JOB)
    for part in ("accept", "upload", "attempt", SEND):
        assert parent_of(written.span(part)) == id_of(job), part
    assert written.told("attempt")["reelwire.mode"] == written.told(JOB)["reelwire.mode"] == mode
    assert (fleet.told(JOB, "reelwire.outcome"), fleet.told("attempt", "reelwire.outcome")) == (
        ["completed"],
        ["completed"],
    )


async def test_without_traces_nothing_is_kept_of_them() -> None:
    async with Bench() as bench:
        await held_stream(bench)
        assert bench.live().trace is None
        assert bench.live().trace_ids == {}


async def test_an_attempt_that_fails_is_followed_by_another(fleet: Fleet) -> None:
    async with fleet.make("a") as bench:
        bench.platform.streams.append([TEXTS[0], broken()])
        await bench.take(analyze(**INLINE))
        await bench.completed()
    assert fleet.told("attempt", "reelwire.attempt") == [1, 2]
    assert fleet.told("attempt", "error.type") == ["broken", None]
    assert fleet.told(JOB, "reelwire.attempts") == [2]


async def test_a_canceled_stream_says_so(fleet: Fleet) -> None:
    async with fleet.make("a") as bench:
        await held_stream(bench)
        await bench.take(cancel())
        await bench.completed()
    assert fleet.told("attempt", "reelwire.outcome") == fleet.told(JOB, "reelwire.outcome") == ["canceled"]


async def test_a_job_that_waits_for_its_turn_shows_it(fleet: Fleet) -> None:
    async with fleet.make("a", jobs={"max_streams": 1}) as bench:
        held = await held_stream(bench)
        await bench.take(analyze("r-2", **INLINE))
        await until(lambda: bench.told("r-2").count("waiting"))
        held.go.set()
        await bench.completed("r-2")
    assert fleet.told("wait", "reelwire.wait.reason") == ["turn"]


async def test_a_crash_leaves_one_span_of_the_job_and_one_of_each_attempt(fleet: Fleet) -> None:
    async with fleet.make("a") as bench:
        await held_stream(bench)
        await bench.crash()
        await bench.completed()
    assert fleet.told("attempt", "reelwire.outcome") == ["interrupted", "completed"]
    assert {parent_of(span) for span in fleet.spans("attempt")} == {id_of(fleet.written["a"].span(JOB))}


async def test_an_end_that_did_not_become_durable_is_not_told(fleet: Fleet) -> None:
    async with fleet.make("a") as bench:
        held = await held_stream(bench)
        bench.writer.held = True
        held.go.set()
        await until(lambda: bench.live().unsaved)
        assert fleet.spans("attempt") == fleet.spans(JOB) == []
        await bench.crash()
        await bench.completed()
    assert fleet.told("attempt", "reelwire.outcome") == ["interrupted", "completed"]
    assert len(fleet.spans(JOB)) == 1


async def test_a_carried_attempt_is_one_span_and_its_owner_links_to_the_carrier(fleet: Fleet) -> None:
    async with fleet.make("a") as a, fleet.make("b") as b:
        held = await held_stream(a)
        await a.lose()
        await b.take_over()
        held.go.set()
        await b.completed()
    here, there = fleet.written["a"], fleet.written["b"]
    attempt, carry, handover = there.span("attempt"), here.span("carry"), there.span("handover")
    assert parent_of(carry) == parent_of(handover) == id_of(attempt)
    assert [link.context.span_id for link in handover.links] == [id_of(carry)]
    assert fleet.told("attempt", "reelwire.attempt") == [1]
    assert parent_of(here.span("accept")) == id_of(there.span(JOB))


async def test_a_result_that_was_there_before_the_takeover_is_linked_as_well(fleet: Fleet) -> None:
    async with fleet.make("a") as a, fleet.make("b") as b:
        held = await held_stream(a)
        await a.lose()
        held.go.set()
        await until(lambda: fleet.spans("carry"))
        await b.take_over()
        await b.completed()
    (link,) = fleet.written["b"].span("handover").links
    assert link.context.span_id == id_of(fleet.written["a"].span("carry"))


async def test_every_owner_of_a_chain_links_to_the_one_carrier(fleet: Fleet) -> None:
    async with fleet.make("a") as a, fleet.make("b") as b, fleet.make("c") as c:
        held = await held_stream(a)
        await a.lose()
        await b.take_over()
        await b.lose()
        await c.take_over()
        held.go.set()
        await c.completed()
    carried = id_of(fleet.written["a"].span("carry"))
    assert fleet.told("handover", "reelwire.outcome") == ["let go", "received"]
    assert {link.context.span_id for span in fleet.spans("handover") for link in span.links} == {carried}
    assert len(fleet.spans("attempt")) == len(fleet.spans(JOB)) == 1


async def test_what_comes_back_to_its_process_is_no_handover(fleet: Fleet) -> None:
    async with fleet.make("a") as a:
        held = await held_stream(a)
        await a.lose()
        await a.take_over()
        held.go.set()
        await a.completed()
    assert fleet.told("carry", "reelwire.outcome") == ["taken_back"]
    assert fleet.spans("handover") == []
    assert len(fleet.spans("attempt")) == 1


async def test_an_end_that_becomes_durable_while_the_partition_is_let_go_of_is_told(fleet: Fleet) -> None:
    async with fleet.make("a") as a, fleet.make("b") as b:
        held = await held_stream(a)
        a.writer.held = True
        held.go.set()
        await until(lambda: a.live().unsaved)
        writer = a.writer
        await a.book.close(carry=True)
        writer.go()
        await settled()
        writer.fence()
        a.engine.lost(0)
        await b.take_over()
        assert [completion["type"] for completion in b.completions()] == ["completed"]
    assert fleet.told("attempt", "reelwire.outcome") == fleet.told(JOB, "reelwire.outcome") == ["completed"]
