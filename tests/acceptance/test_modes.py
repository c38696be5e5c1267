"""From a request to its completion, in every mode."""

from __future__ import annotations

import base64
import itertools
from typing import Any

import pytest

from tests.harness.observer import Observer
from tests.harness.stage import Stage
from tests.support.png import png_base64

pytestmark = pytest.mark.acceptance

SCHEMA = {
    "type": "json_schema",
    "json_schema": {
        "type": "object",
        "properties": {"title": {"type": "string"}, "people": {"type": "integer"}},
        "required": ["title", "people"],
    },
}
SEGMENTS = {
    "type": "segment_definitions",
    "segment_definitions": [
        {"id": "scene", "description": "A scene", "fields": [{"name": "mood", "type": "string", "description": "Mood"}]}
    ],
}


def _kinds(observer: Observer, name: str) -> list[str]:
    """Types of progress, repetitions left out."""
    return [kind for kind, _ in itertools.groupby(record.type for record in observer.progress[name])]


async def test_a_stream_is_seen_as_fragments_and_ends_in_a_completion_that_holds_them(stage: Stage) -> None:
    name = stage.name()
    await stage.request_producer.send(stage.analyze(name, stage.clip(), mode="stream"))
    observer = await stage.ended(name)

    completion = observer.completion(name)
    assert completion is not None
    assert (completion["type"], completion["mode"], completion["attempt"]) == ("completed", "stream", 1)
    assert completion["text"] == observer.text(name, 1) != ""
    assert completion["fragments"] == len(observer.fragments[name, 1]) > 1
    assert completion["finish_reason"] == "stop"
    assert completion["task_id"] is None
    assert completion["usage"]["video_seconds"] == pytest.approx(4, abs=0.5)
    assert completion["usage"]["output_tokens"] > 0
    timings = completion["timings"]
    assert set(timings) == {"queued", "upload", "analysis", "first_fragment", "total"}
    assert 0 < timings["first_fragment"] <= timings["analysis"] <= timings["total"]
    # `uploading` is live and may come before or after what a transaction tells.
    assert [kind for kind in _kinds(observer, name) if kind != "uploading"] == [
        "accepted",
        "asset_ready",
        "stream_started",
    ]
    ready = observer.events(name, "asset_ready")[0]
    assert (ready["asset_id"], ready["reused"]) == (completion["asset_id"], False)


async def test_every_fragment_is_in_its_topic_before_the_completion_is_seen(stage: Stage) -> None:
    name = stage.name()
    await stage.request_producer.send(stage.analyze(name, stage.clip(), mode="stream"))
    await stage.ended(name)
    at_that_moment = await Observer.of_everything(stage.system.settings(), "read_uncommitted")

    completion = at_that_moment.completion(name)
    assert completion is not None
    assert at_that_moment.text(name, 1) == completion["text"]


async def test_a_synchronous_request_has_one_answer_and_no_fragments(stage: Stage) -> None:
    name = stage.name()
    await stage.request_producer.send(stage.analyze(name, stage.clip(), mode="sync"))
    observer = await stage.ended(name)

    completion = observer.completion(name)
    assert completion is not None
    assert (completion["type"], completion["mode"], completion["fragments"]) == ("completed", "sync", 0)
    assert completion["timings"]["first_fragment"] is None
    assert observer.attempts(name) == []


async def test_a_task_is_created_watched_and_its_result_published(stage: Stage) -> None:
    name = stage.name()
    await stage.request_producer.send(stage.analyze(name, stage.clip(), mode="async"))
    observer = await stage.ended(name)

    completion = observer.completion(name)
    assert completion is not None
    assert (completion["type"], completion["mode"], completion["fragments"]) == ("completed", "async", 0)
    created = observer.events(name, "task_created")
    assert [event["task_id"] for event in created] == [completion["task_id"]]
    statuses = [event["status"] for event in observer.events(name, "task_status")]
    assert statuses[-1] == "ready"
    assert len(statuses) == len(set(statuses)), "a status is told when it changes only"


async def test_auto_streams_a_short_video(stage: Stage) -> None:
    completion = await stage.answer(stage.analyze(stage.name(), stage.clip()))

    assert (completion["type"], completion["mode"]) == ("completed", "stream")


async def test_auto_makes_a_task_of_an_inline_video_whose_length_nobody_knows(stage: Stage) -> None:
    video = {"type": "base64_string", "base64_string": base64.b64encode(stage.clip().read_bytes()).decode()}
    completion = await stage.answer(stage.analyze(stage.name(), video=video, upload="inline"))

    assert (completion["type"], completion["mode"], completion["asset_id"]) == ("completed", "async", None)
    assert completion["usage"]["video_seconds"] == pytest.approx(4, abs=0.5)


async def test_an_inline_video_can_be_streamed(stage: Stage) -> None:
    video = {"type": "base64_string", "base64_string": base64.b64encode(stage.clip().read_bytes()).decode()}
    completion = await stage.answer(stage.analyze(stage.name(), video=video, upload="inline", mode="stream"))

    assert (completion["type"], completion["mode"], completion["asset_id"]) == ("completed", "stream", None)
    assert completion["fragments"] > 0


@pytest.mark.parametrize("mode", ["stream", "sync", "async"])
async def test_an_answer_in_a_schema_is_decoded(stage: Stage, mode: str) -> None:
    completion = await stage.answer(stage.analyze(stage.name(), stage.clip(), mode=mode, response_format=SCHEMA))

    assert completion["type"] == "completed"
    assert completion["data_error"] is None
    assert isinstance(completion["data"]["title"], str)
    assert isinstance(completion["data"]["people"], int)


async def test_an_answer_that_is_not_the_json_it_should_be_is_published_with_the_reason(stage: Stage) -> None:
    request = stage.analyze(stage.name(), stage.clip(), mode="sync", response_format=SCHEMA)
    completion = await stage.answer(request | {"prompt": "What? [[emulate: invalid_json]]"})

    assert completion["type"] == "completed"
    assert completion["data"] is None
    assert completion["data_error"]
    assert completion["text"]


async def test_time_coded_segments_are_decoded(stage: Stage) -> None:
    request = stage.analyze(
        stage.name(), stage.clip(), analysis_mode="time_based_metadata", response_format=SEGMENTS, max_tokens=4096
    )
    del request["prompt"]
    completion = await stage.answer(request)

    assert (completion["type"], completion["mode"]) == ("completed", "async"), completion
    assert completion["data"]


@pytest.mark.parametrize("mode", ["stream", "sync"])
async def test_a_text_cut_at_its_limit_says_so(stage: Stage, mode: str) -> None:
    request = stage.analyze(stage.name(), stage.clip(), mode=mode)
    completion = await stage.answer(request | {"prompt": "At length. [[emulate: finish=length]]"})

    assert (completion["type"], completion["finish_reason"]) == ("completed", "length")
    assert completion["warning"]["message"]


async def test_a_mode_that_can_not_answer_the_request_fails_clearly(stage: Stage) -> None:
    place = await stage.request_producer.send(
        stage.analyze(name := stage.name(), stage.clip(), mode="stream", analysis_mode="time_based_metadata")
    )
    async with stage.watching() as observer:
        await observer.until(lambda: observer.dead_letters.get(place) or observer.ended([name]))
    # A combination that no mode allows is wrong by the contract alone.
    (letter,) = observer.dead_letters[place]
    assert letter.header("dlq.error.code") == "invalid"


@pytest.mark.parametrize(
    "members",
    [
        {"prompt": None, "prompt_v2": {"input_text": "What happens?"}},
        {"video": None, "image": [{"name": "a", "base64_string": png_base64()}]},
    ],
    ids=["prompt_v2", "image"],
)
async def test_prompts_with_references_and_images_are_answered(stage: Stage, members: dict[str, Any]) -> None:
    request = stage.analyze(stage.name(), stage.clip(), model_name="pegasus1.6") | members
    assert (await stage.answer(request))["type"] == "completed"


async def test_after_all_that_every_promise_was_kept(stage: Stage) -> None:
    assert await stage.broken_promises() == []
