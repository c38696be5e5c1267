"""Results, messages, keys and states that fit no record: the job ends all the same, once, and holds no slot."""

from __future__ import annotations

from typing import Any

import pytest

from service.domain.change import Slot
from service.domain.job import Phase
from service.kafka.ports import RecordTooLarge
from service.platform.errors import OutcomeUnknown, Rejected
from service.platform.values import Analysis, Asset
from service.settings import TopicSettings
from tests.domain.builders import SCHEMA, job_in, request_of
from tests.engine.bench import Bench, analyze
from tests.engine.fake_platform import Held, platform_answer
from tests.support.waiting import settled, until

pytestmark = pytest.mark.unit

TOPICS = TopicSettings()
MIB = 1024 * 1024
WORDS = "too dark; "
SYNC: dict[str, Any] = {"upload": "inline", "mode": "sync"}
ASYNC: dict[str, Any] = {"upload": "inline", "mode": "async"}


def said_at_length(size: int) -> Rejected:
    answer = platform_answer(400, "parameter_invalid").model_copy(update={"message": WORDS * (size // len(WORDS))})
    return Rejected("the platform answered 400: " + WORDS * (size // len(WORDS)), answer=answer)


@pytest.mark.parametrize("size", [5 * MIB, 50 * MIB])
async def test_a_message_of_the_platform_of_any_size_becomes_a_completion(size: int) -> None:
    async with Bench(limits={TOPICS.completions: 16_384}) as bench:
        bench.platform.script("analyze", said_at_length(size))
        await bench.take(analyze(**SYNC))
        error = (await bench.completed())["error"]
        assert (error["code"], error["platform"]["code"]) == ("rejected", "parameter_invalid")
        assert error["platform"]["message"].endswith("(cut)")


async def test_a_message_that_fits_is_left_untouched(bench: Bench) -> None:
    bench.platform.script("analyze", said_at_length(20_000))
    await bench.take(analyze(**SYNC))
    assert (await bench.completed())["error"]["platform"]["message"] == WORDS * 2_000


async def test_data_is_left_out_before_text() -> None:
    async with Bench(limits={TOPICS.completions: 300_000}) as bench:
        text = '{"a": "' + "y" * 200_000 + '"}'
        bench.platform.streams.append([text])
        await bench.take(analyze(upload="inline", mode="stream", response_format=SCHEMA))
        completion = await bench.completed()
        assert (completion["type"], completion["text"], completion["data"]) == ("completed", text, None)
        assert "left out" in completion["data_error"]


async def test_progress_that_is_too_large_is_cut_and_the_job_goes_on() -> None:
    async with Bench(limits={TOPICS.progress: 8_192}) as bench:
        bench.platform.script("create_task", OutcomeUnknown(WORDS * 2_000))
        await bench.take(analyze(**ASYNC))
        await until(lambda: bench.platform.tasks)
        bench.platform.end_task("task-1")
        assert (await bench.completed())["type"] == "completed"
        [reason] = [event["reason"] for event in bench.progress() if event["type"] == "retrying"]
        assert (len(reason), reason.endswith("(cut)")) == (2_000, True)


@pytest.mark.parametrize("topic", [TOPICS.completions, TOPICS.progress, TOPICS.fragments, TOPICS.jobs])
async def test_a_key_that_leaves_no_room_for_an_end_is_refused_at_the_door(topic: str) -> None:
    async with Bench(limits={topic: 6_000}) as bench:
        await bench.take(analyze(**SYNC), key=b"k" * 4_000)
        assert len(bench.book) == 0
        [letter] = bench.log.read(TOPICS.dead_letters, 0)
        assert dict(letter.headers)["dlq.error.code"] == b"too_large"


async def test_a_restored_job_whose_key_no_longer_fits_ends_under_its_id() -> None:
    async with Bench(limits={TOPICS.completions: 10_000, TOPICS.progress: 10_000}) as bench:
        request = request_of(mode="sync", metadata={"note": "n" * 9_000})
        await bench.restore(job_in(Phase.READY, request, partition=0, key=b"k" * 50_000))
        completion = await bench.completed()
        assert (completion["type"], completion["metadata"]) == ("completed", None)
        [record] = bench.log.read(TOPICS.completions, 0)
        assert record.key == b"r-1"


async def test_a_limit_that_turns_out_lower_costs_the_text_and_not_the_end(bench: Bench) -> None:
    """The writer knows better than the job: as after a refusal of the broker."""
    held = Held()
    bench.platform.streams.append(["x" * 2_000, held])
    await bench.take(analyze(upload="inline", mode="stream"))
    await held.reached.wait()
    bench.writer.refuse_above(TOPICS.completions, 1_000)
    held.go.set()
    completion = await bench.completed()
    assert completion["error"]["code"] == "result_too_large"
    assert bench.finished.added


async def test_a_state_that_the_writer_refuses_ends_the_job_and_frees_its_slot(bench: Bench) -> None:
    held = bench.platform.hold("create_task")
    await bench.take(analyze(**ASYNC))
    await held.reached.wait()
    bench.writer.refuse_above(TOPICS.jobs, 300)
    held.go.set()
    error = (await bench.completed())["error"]
    assert error["code"] == "internal_error"
    await settled()
    assert bench.slots.taken(Slot.CREATE) == 0


async def test_a_state_that_grew_too_large_ends_the_job() -> None:
    async with Bench(limits={TOPICS.jobs: 10_000}) as bench:
        bench.platform.add_asset("x")
        bench.platform.assets["asset-1"] = Asset("a" * 20_000, "ready", duration=5.0)
        await bench.take(analyze(mode="sync", video={"type": "asset_id", "asset_id": "asset-1"}))
        error = (await bench.completed())["error"]
        assert (error["code"], "can't be written" in error["message"]) == ("internal_error", True)


@pytest.mark.parametrize("odd", ["half \ud83d of it", "\udfff", "\ud800\ud800"])
async def test_half_a_character_in_any_answer_is_replaced(bench: Bench, odd: str) -> None:
    async def analyze_oddly(call: Any) -> Analysis:
        return Analysis(odd, odd, odd, 3, warning_code=odd, warning_message=odd)

    bench.platform.analyze = analyze_oddly  # type: ignore[method-assign]
    await bench.take(analyze(**SYNC))
    completion = await bench.completed()
    assert (completion["type"], "\ufffd" in completion["text"]) == ("completed", True)


@pytest.mark.parametrize("number", [-1.0, float("nan"), float("inf")])
async def test_a_number_that_no_event_can_hold_ends_the_job(bench: Bench, number: float) -> None:
    bench.platform.duration = number
    await bench.take(analyze(mode="stream"))
    completion = await bench.completed()
    assert completion["type"] in ("completed", "failed")


async def test_a_task_with_half_a_character_for_its_status_and_id_ends(bench: Bench) -> None:
    await bench.take(analyze(**ASYNC))
    await until(lambda: bench.platform.tasks)
    bench.platform.end_task("task-1", "odd \ud83d")
    assert (await bench.completed())["type"] == "failed"


async def test_a_refusal_names_topic_and_sizes() -> None:
    assert str(RecordTooLarge("t", 2, 1)) == "a record of 2 bytes is too large for t, which takes 1"
