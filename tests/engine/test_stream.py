"""Streams: fragments before the completion, new attempts after a cut, waits that cost nothing, back-pressure."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import pytest

from service.domain.change import Slot
from service.kafka.ports import DeliveryFailed, RecordTooLarge
from service.settings import TopicSettings
from tests.engine.bench import Bench, analyze
from tests.engine.fake_platform import (
    TEXTS,
    Held,
    broken,
    not_sent,
    rate_limited,
    server_failed,
    too_busy,
    unauthorized,
    unknown,
)
from tests.support.waiting import passed, settled, until

pytestmark = pytest.mark.unit

TOPICS = TopicSettings()
STREAM: dict[str, Any] = {"upload": "inline", "mode": "stream"}


async def test_every_fragment_is_in_the_topic_before_the_completion(bench: Bench) -> None:
    await bench.take(analyze(**STREAM))
    completion = await bench.completed()
    topics = bench.settings.topics
    order = [r.topic for r in bench.log.order if r.topic in (topics.fragments, topics.completions)]
    assert order == [topics.fragments] * 3 + [topics.completions]
    assert [f["sequence"] for f in bench.fragments()] == [0, 1, 2]
    assert "".join(f["text"] for f in bench.fragments()) == completion["text"]
    assert {f["generation_id"] for f in bench.fragments()} == {completion["generation_id"]}


async def test_the_completion_waits_for_the_last_delivery(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    deliver = bench.sender._deliver
    monkeypatch.setattr(bench.sender, "_deliver", lambda: None)
    await bench.take(analyze(**STREAM))
    await until(lambda: len(bench.fragments()) == 3)
    await passed(5)
    assert bench.completions() == []
    monkeypatch.undo()
    deliver()
    assert (await bench.completed())["fragments"] == 3


async def test_a_fragment_that_is_not_delivered_begins_a_new_attempt(bench: Bench) -> None:
    held = Held()
    bench.platform.streams.append([TEXTS[0], held, TEXTS[1], TEXTS[2]])
    await bench.take(analyze(**STREAM))
    await held.reached.wait()
    bench.sender.fail_next(lambda: DeliveryFailed("the broker is away"))
    held.go.set()
    await until(lambda: "retrying" in bench.told())
    bench.sender.fail_next(None)
    completion = await bench.completed()
    assert (completion["type"], completion["attempt"]) == ("completed", 2)
    assert [(f["attempt"], f["sequence"]) for f in bench.fragments()] == [(1, 0), (2, 0), (2, 1), (2, 2), (2, 3)]
    assert [f["text"] for f in bench.fragments() if f["attempt"] == 2] == ["", *TEXTS]


async def test_a_topic_that_refuses_fragments_is_waited_for_before_a_stream_is_paid_again(bench: Bench) -> None:
    bench.platform.streams.append(
        [lambda: bench.sender.fail_next(lambda: DeliveryFailed("the topic refuses")), TEXTS[0]]
    )
    await bench.take(analyze(**STREAM))
    await until(lambda: bench.phases("r-1")[-2:] == ["ready", "streaming"])
    await passed(36_000)
    assert bench.platform.count("stream") == 1
    assert bench.slots.taken(Slot.STREAM) == 0
    bench.sender.fail_next(None)
    completion = await bench.completed()
    assert (completion["type"], completion["attempt"], bench.platform.count("stream")) == ("completed", 2, 2)


async def test_a_topic_that_takes_the_first_record_and_refuses_the_rest_is_paid_for_a_limited_number_of_times(
    bench: Bench,
) -> None:
    def refuse() -> None:
        bench.sender.fail_next(lambda: DeliveryFailed("the topic refuses"))

    def take() -> None:
        bench.sender.fail_next(None)

    bench.platform.streams.extend([refuse, TEXTS[0], take, TEXTS[1]] for _ in range(20))
    await bench.take(analyze(**STREAM))
    completion = await bench.completed()
    assert completion["error"]["code"] == "stream_failed"
    assert bench.platform.count("stream") == bench.settings.jobs.max_attempts


async def test_a_crash_loop_pays_for_a_stream_a_limited_number_of_times(bench: Bench) -> None:
    await bench.take(analyze(**STREAM))
    for _ in range(bench.settings.jobs.max_attempts):
        held = bench.platform.hold("stream")
        await held.reached.wait()
        await bench.crash()
    completion = await bench.completed()
    assert (completion["error"]["code"], completion["attempt"]) == ("stream_failed", 4)
    assert bench.platform.count("stream") == bench.settings.jobs.max_attempts
    assert bench.told().count("interrupted") == bench.settings.jobs.max_attempts


async def test_a_fragment_larger_than_its_topic_takes_is_sent_in_pieces() -> None:
    async with Bench(limits={TOPICS.fragments: 8_192}) as bench:
        bench.platform.streams.append(["short", "é" * 10_000, "end"])
        await bench.take(analyze(**STREAM))
        completion = await bench.completed()
        fragments = bench.fragments()
        assert [f["sequence"] for f in fragments] == list(range(len(fragments)))
        assert completion["fragments"] == len(fragments) > 5
        assert "".join(f["text"] for f in fragments) == completion["text"] == "short" + "é" * 10_000 + "end"


async def test_a_stream_without_end_is_left_when_no_completion_could_hold_its_text() -> None:
    async with Bench(limits={TOPICS.completions: 50_000}) as bench:
        bench.platform.streams.append(["x" * 10_000] * 1_000)
        await bench.take(analyze(**STREAM))
        completion = await bench.completed()
        assert completion["error"]["code"] == "result_too_large"
        assert 5 <= len(bench.fragments()) <= 6
        assert bench.platform.count("stream") == 1
        assert bench.book.held_bytes == 0


async def test_a_fragment_that_fits_no_record_ends_the_job_and_is_not_paid_for_again(bench: Bench) -> None:
    bench.sender.fail_next(lambda: RecordTooLarge("fragments", 2, 1))
    await bench.take(analyze(**STREAM))
    assert (await bench.completed())["error"]["code"] == "result_too_large"
    assert bench.platform.count("stream") <= 1


async def test_half_a_character_in_a_stream_is_replaced(bench: Bench) -> None:
    bench.platform.streams.append(["a\ud83d", "b"])
    await bench.take(analyze(**STREAM))
    completion = await bench.completed()
    assert completion["text"] == "".join(f["text"] for f in bench.fragments()) == "a\ufffdb"


async def test_a_lease_that_is_over_holds_fragments_back_until_it_is_known_whose_the_partition_is(bench: Bench) -> None:
    held = Held()
    bench.platform.streams.append([TEXTS[0], held, TEXTS[1]])
    await bench.take(analyze(**STREAM))
    await held.reached.wait()
    bench.lease.on = False
    held.go.set()
    await passed(60)
    assert [fragment["text"] for fragment in bench.fragments()] == [TEXTS[0]]
    assert bench.platform.open_streams == 0  # it was read to its end
    bench.lease.on = True
    bench.sender.go()
    completion = await bench.completed()
    assert (completion["type"], completion["attempt"]) == ("completed", 1)
    assert [(f["sequence"], f["text"]) for f in bench.fragments()] == list(enumerate([TEXTS[0], TEXTS[1]]))
    assert "interrupted" not in bench.told()
    assert bench.platform.count("stream") == 1
    await settled()
    assert bench.slots.taken(Slot.STREAM) == 0


async def test_fragments_of_a_partition_that_is_another_process_s_cut_the_attempt(bench: Bench) -> None:
    held = Held()
    bench.platform.streams.append([TEXTS[0], held, TEXTS[1]])
    await bench.take(analyze(**STREAM))
    await held.reached.wait()
    bench.lease.on = False
    held.go.set()
    await passed(60)
    bench.lease.on = True
    bench.sender.drop_held(0)
    completion = await bench.completed()
    assert (completion["type"], completion["attempt"]) == ("completed", 2)
    assert [e["attempt"] for e in bench.progress() if e["type"] == "interrupted"] == [1]


@pytest.mark.parametrize("failure", [rate_limited, not_sent, unauthorized])
async def test_what_cost_nothing_is_repeated_within_the_attempt(bench: Bench, failure: Any) -> None:
    bench.platform.script("stream", *(failure() for _ in range(10)))
    await bench.take(analyze(**STREAM))
    completion = await bench.completed()
    assert (completion["type"], completion["attempt"]) == ("completed", 1)
    assert bench.told().count("retrying") == 10
    assert bench.phases() == ["accepted", *["streaming", "ready"] * 10, "streaming", "ended"]


async def test_the_platforms_wish_is_waited_for(bench: Bench) -> None:
    bench.platform.script("stream", rate_limited(1_000))
    began = bench.clock.time()
    await bench.take(analyze(**STREAM))
    await bench.completed()
    assert bench.clock.time() - began >= 1_000


@pytest.mark.parametrize("failure", [broken, unknown])
async def test_a_cut_begins_a_new_attempt_from_the_first_fragment(bench: Bench, failure: Any) -> None:
    bench.platform.streams.append([TEXTS[0], TEXTS[1], failure()])
    await bench.take(analyze(**STREAM))
    completion = await bench.completed()
    assert (completion["attempt"], completion["fragments"]) == (2, 4)
    numbers = [(f["attempt"], f["sequence"]) for f in bench.fragments()]
    assert numbers == [(1, 0), (1, 1), (2, 0), (2, 1), (2, 2), (2, 3)]
    ids = [dict(r.headers)["ce_id"] for r in bench.log.read(bench.settings.topics.fragments, 0)]
    assert len(set(ids)) == len(ids)


async def test_a_stream_that_always_breaks_is_paid_for_a_limited_number_of_times(bench: Bench) -> None:
    bench.platform.streams.extend([TEXTS[0], broken()] for _ in range(10))
    await bench.take(analyze(**STREAM))
    completion = await bench.completed()
    assert completion["error"]["code"] == "stream_failed"
    assert bench.platform.count("stream") == bench.settings.jobs.max_attempts


@pytest.mark.parametrize("mode", ["stream", "sync"])
@pytest.mark.parametrize("mixed", [False, True])
async def test_a_platform_that_fails_is_not_paid_beyond_the_limit(bench: Bench, mode: str, *, mixed: bool) -> None:
    """After a 5xx the work may have been done, and billed."""
    operation = {"stream": "stream", "sync": "analyze"}[mode]
    kinds = itertools.cycle([server_failed, server_failed, unknown] if mixed else [server_failed])
    bench.platform.always(operation, lambda: next(kinds)())
    await bench.take(analyze(mode=mode))
    completion = await bench.completed()
    assert completion["error"]["code"] == {"stream": "stream_failed", "sync": "outcome_unknown"}[mode]
    assert bench.platform.count(operation) == bench.settings.jobs.max_attempts


async def test_a_platform_that_is_too_busy_is_given_up_after_its_patience(bench: Bench) -> None:
    bench.platform.always("stream", too_busy)
    began = bench.clock.time()
    await bench.take(analyze(**STREAM))
    completion = await bench.completed()
    assert completion["error"]["code"] == "platform_unavailable"
    assert 900 <= bench.clock.time() - began < 1_100


async def test_a_stream_without_text_completes_with_none(bench: Bench) -> None:
    bench.platform.streams.append([""])
    await bench.take(analyze(**STREAM))
    completion = await bench.completed()
    assert (completion["text"], completion["fragments"]) == ("", 0)


async def test_no_more_is_read_while_too_much_is_under_way(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    room, asked = asyncio.Event(), asyncio.Event()

    async def ready() -> None:
        if bench.fragments():
            asked.set()
            await room.wait()

    monkeypatch.setattr(bench.sender, "ready", ready)
    await bench.take(analyze(**STREAM))
    await asked.wait()
    await passed(5)
    assert len(bench.fragments()) == 1
    room.set()
    await bench.completed()


async def test_nothing_is_paid_for_while_there_is_no_producer(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    there = asyncio.Event()
    monkeypatch.setattr(bench.sender, "ready", there.wait)
    await bench.take(analyze(**STREAM))
    await passed(5)
    assert bench.platform.count("stream") == 0
    there.set()
    await bench.completed()


async def test_a_crash_in_mid_stream_interrupts_and_begins_again(bench: Bench) -> None:
    bench.platform.streams.append([TEXTS[0], Held()])
    await bench.take(analyze(**STREAM))
    await until(bench.fragments)
    await bench.crash()
    completion = await bench.completed()
    assert (completion["type"], completion["attempt"]) == ("completed", 2)
    assert [e["attempt"] for e in bench.progress() if e["type"] == "interrupted"] == [1]


@pytest.mark.parametrize(("wish", "kind"), [("fail", "failed"), ("async", "completed")])
async def test_a_request_says_what_follows_a_crash(bench: Bench, wish: str, kind: str) -> None:
    bench.platform.streams.append([TEXTS[0], Held()])
    await bench.take(analyze(**STREAM, on_interrupt=wish))
    await until(bench.fragments)
    await bench.crash()
    if wish == "async":
        await until(lambda: bench.platform.tasks)
        bench.platform.end_task("task-1")
    completion = await bench.completed()
    assert completion["type"] == kind
    assert completion["attempt"] == (1 if wish == "fail" else 2)
