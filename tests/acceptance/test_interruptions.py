"""What a request asked for when its process dies, and what SIGTERM leaves to whom."""

from __future__ import annotations

import asyncio
import itertools
import signal
from typing import Any

import pytest

from tests.harness.stage import Stage

pytestmark = pytest.mark.acceptance


@pytest.fixture(scope="module")
def own(make_stage: Any) -> Stage:
    """A stage whose service may be killed."""
    made: Stage = make_stage(serve=False)
    return made


async def test_a_stream_cut_off_by_a_crash_goes_on_as_its_request_asked(own: Stage) -> None:
    clip = own.clip()
    names = {wish: own.name(wish) for wish in ("restart", "async", "fail")}
    await own.request_producer.send_all(
        *(
            own.analyze(name, clip, mode="stream", on_interrupt=wish)
            | {"prompt": f"{name}: slowly [[emulate: fragments=100 interval_ms=20]]"}
            for wish, name in names.items()
        )
    )
    await own.system.serve()
    async with own.watching() as observer:
        await observer.until(lambda: all(len(observer.fragments[name, 1]) > 3 for name in names.values()))
        await own.system.service().kill()
        await own.system.serve()
        await observer.until_ended(names.values())
        ends = {wish: observer.completion(name) or {} for wish, name in names.items()}

        assert (ends["restart"]["type"], ends["restart"]["mode"], ends["restart"]["attempt"]) == (
            "completed",
            "stream",
            2,
        )
        assert (ends["async"]["type"], ends["async"]["mode"], ends["async"]["attempt"]) == ("completed", "async", 2)
        assert (ends["fail"]["type"], ends["fail"]["error"]["code"]) == ("failed", "interrupted")
        for name in names.values():
            assert [event["attempt"] for event in observer.events(name, "interrupted")] == [1]
    assert [len(await own.billable(name)) for name in names.values()] == [2, 2, 1]
    assert "reelwire_interruptions_total 3.0" in (await own.system.get("metrics"))[1].splitlines()
    assert await own.broken_promises() == []


async def test_sigterm_lets_a_stream_end_and_leaves_its_result_and_the_task_to_the_next_owner(own: Stage) -> None:
    stream, task = own.name("stream"), own.name("task")
    service = own.system.service()
    if not service.running:
        await own.system.serve()
    await own.request_producer.send_all(
        own.analyze(stream, own.clip(), mode="stream")
        | {"prompt": f"{stream}: slowly [[emulate: fragments=100 interval_ms=20]]"},
        own.analyze(task, own.clip(), mode="async") | {"prompt": f"{task}: later [[emulate: task_seconds=4]]"},
    )
    async with own.watching() as observer:
        await observer.until(lambda: observer.events(task, "task_created") and len(observer.fragments[stream, 1]) > 3)
        assert observer.completion(stream) is None
        service.send(signal.SIGTERM)
        status, body = await own.until_page("health/ready", lambda page: page[0] != 200)
        assert (status, '"stopping"' in body) == (503, True)
        assert await asyncio.wait_for(service.ended(), 30) == 0
        assert service.said("drained")[-1]["given_up"] == 0
        assert observer.completion(task) is None

        await own.system.serve()  # finds the result of the stream, and the task
        await observer.until_ended([stream, task])
        assert (observer.completion(stream) or {})["type"] == "completed"
        assert {(observer.completion(name) or {})["attempt"] for name in (stream, task)} == {1}
        assert observer.events(stream, "interrupted") == observer.events(task, "interrupted") == []
        assert len(observer.events(task, "task_created")) == 1
    assert [len(await own.billable(name)) for name in (stream, task)] == [1, 1]
    assert await own.broken_promises() == []


async def test_requests_of_one_key_run_one_after_another_where_that_is_asked_for(own: Stage) -> None:
    await own.system.service().stop()
    await own.system.serve(REELWIRE_JOBS__ORDERING="key")
    clip, names = own.clip(), [own.name("ordered") for _ in range(4)]
    # The first takes longest: without order the others would overtake it.
    bodies = [
        own.analyze(name, clip, mode="async") | {"prompt": f"{name}: [[emulate: task_seconds={seconds}]]"}
        for name, seconds in zip(names, (1.5, 0.1, 0.5, 0.1), strict=True)
    ]
    await own.request_producer.send_all(*bodies, key="cam7")
    free = own.name("free")
    await own.request_producer.send(own.analyze(free, clip, mode="sync"), key="cam8")
    observer = await own.ended(*names, free)

    posts = [post for post in (await own.system.stats())["posts"] if post["operation"] == "task_create"]
    created = [post["prompt"].partition(":")[0] for post in posts if post["prompt"].startswith("ordered")]
    assert created == names
    ends = [record.request_id for record in observer.records if record.role == "completions"]
    assert [name for name in ends if name in names] == names
    for before, after in itertools.pairwise(names):
        assert observer.completions[before][0].timestamp_ms <= observer.progress[after][-1].timestamp_ms
    assert ends.index(free) < ends.index(names[1])
    assert await own.broken_promises() == []
