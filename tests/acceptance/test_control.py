"""Pause, resume and rerun against running processes: obeyed by all within 2 s, remembered, and never paid twice."""

from __future__ import annotations

import asyncio
import signal
import time
from typing import Any

import pytest

from tests.cli.conftest import Result, finish, start
from tests.harness.stage import Stage

pytestmark = pytest.mark.acceptance

OBEYED_SECONDS = 2.0
NAMES = ("service", "second")


@pytest.fixture
def own(make_own_stage: Any) -> Stage:
    """A stage of this test's own, since what is paused here concerns everybody."""
    made: Stage = make_own_stage()
    return made


async def reelwire(stage: Stage, *arguments: str) -> Result:
    result = await finish(await start(*arguments, environment=dict(stage.system.environment)))
    assert result.code == 0, result.err
    return result


async def told_by_all(stage: Stage, words: str, seconds: float = 60) -> float:
    """Wait until every process says this in its health. How long that took."""
    began = time.monotonic()
    for name in NAMES:
        status, _ = await stage.until_page(
            "health/ready", lambda page: page[0] == 200 and words in page[1], name, seconds=seconds
        )
        assert status == 200, "a paused process is ready"
    return time.monotonic() - began


async def test_a_pause_is_obeyed_by_two_processes_within_two_seconds_and_after_a_restart(own: Stage) -> None:
    stage = own
    await stage.system.serve("second")
    running = stage.name("running")
    slowly = f"{running}: slowly [[emulate: fragments=100 interval_ms=60]]"
    await stage.request_producer.send(stage.analyze(running, stage.clip(), mode="stream", prompt=slowly), key="cam1")
    async with stage.watching() as observer:
        await observer.until(lambda: bool(observer.fragments[running, 1]))

    await reelwire(stage, "pause")
    took = await told_by_all(stage, "all work since", seconds=OBEYED_SECONDS)
    print(f"the second process said it {took:.2f} s after the command had ended")
    assert took < OBEYED_SECONDS

    clip = stage.clip()
    waiting = [stage.name("waiting") for _ in range(8)]
    for number, name in enumerate(waiting):
        mode = ("stream", "sync", "async")[number % 3]
        await stage.request_producer.send(stage.analyze(name, clip, mode=mode), key=f"cam{number}")
    async with stage.watching() as observer:
        await observer.until(lambda: all(observer.events(name, "waiting") for name in waiting))
        assert {event["reason"] for name in waiting for event in observer.events(name, "waiting")} == {"paused"}
        await observer.until_ended([running])
    assert (observer.completion(running) or {})["attempt"] == 1, "what ran has ended as if nothing was"
    assert not [name for name in waiting if await stage.billable(name)]
    listed = await reelwire(stage, "jobs", "list", "--json")
    assert {job["request_id"]: job["waits_for"] for job in listed.json} == dict.fromkeys(waiting, "paused")

    for name in NAMES:
        program = stage.system.service(name)
        program.send(signal.SIGTERM)
        await program.ended()
        await stage.system.serve(name)
        assert program.said("paused")[-1]["what"] == "all work"
    await told_by_all(stage, "all work since")
    _, metrics = await stage.until_page("metrics", lambda page: 'reelwire_jobs{phase="accepted"}' in page[1])
    assert 'reelwire_paused{what="work"} 1.0' in metrics
    assert not [name for name in waiting if await stage.billable(name)]

    ended = await reelwire(stage, "resume")
    assert "resumed: all work" in ended.err
    observer = await stage.ended(*waiting, seconds=60)
    assert {(observer.completion(name) or {})["type"] for name in waiting} == {"completed"}
    assert [len(await stage.billable(name)) for name in waiting] == [1] * len(waiting)
    assert await stage.broken_promises() == []


async def test_a_paused_intake_takes_nothing_and_ends_by_itself(own: Stage) -> None:
    stage = own
    await stage.system.serve("second")
    await reelwire(stage, "pause", "--intake", "--until", "12s")
    await told_by_all(stage, "the intake of requests since", seconds=OBEYED_SECONDS)
    for name in NAMES:
        await stage.until_page("metrics", lambda page: 'reelwire_intake_paused{reason="paused"} 1.0' in page[1], name)
    clip, names = stage.clip(), [stage.name() for _ in range(4)]
    for number, name in enumerate(names):
        await stage.request_producer.send(stage.analyze(name, clip), key=f"cam{number}")
    async with stage.watching() as observer:
        began = time.monotonic()
        await observer.until_ended(names, seconds=60)
    assert time.monotonic() - began > 2, "they were taken when the pause had ended"
    assert [len(observer.events(name, "accepted")) for name in names] == [1] * 4
    assert (await reelwire(stage, "pause", "--list")).err.strip() == "nothing is paused"


async def test_failed_requests_are_begun_again_by_id_and_by_filter_interrupted_and_repeated(own: Stage) -> None:
    stage = own
    fails = "[[emulate: fail=400 times=1]]"
    clip = stage.clip()
    names = [stage.name("again") for _ in range(12)]
    fine = stage.name("fine")
    for number, name in enumerate(names):
        body = stage.analyze(name, clip, mode="sync", metadata={"number": number}, prompt=f"{name}: {fails}")
        headers = [("x-mine", b"\xff\x00"), ("content-type", b"application/json")]
        await stage.request_producer.send(body, key=f"cam{number}", headers=headers)
    await stage.request_producer.send(stage.analyze(fine, clip, mode="sync"), key="cam0")
    observer = await stage.ended(*names, fine, seconds=60)
    assert {(observer.completion(name) or {})["error"]["code"] for name in names} == {"rejected"}

    shown = await reelwire(stage, "rerun", "--failed", "--since", "1h", "--code", "rejected", "--dry-run", "--json")
    assert sorted((one["request_id"], one["run"]) for one in shown.json) == [(name, 2) for name in sorted(names)]
    none = await reelwire(stage, "rerun", "--failed", "--since", "1h", "--code", "task_failed")
    assert none.err.strip().endswith("0 sent")

    one = names[0]
    await reelwire(stage, "rerun", one)
    async with stage.watching() as observer:
        await observer.until(lambda: len(observer.completions[one]) == 2)

    # Interrupted in the middle, and repeated twice.
    paced = await start(
        "rerun", "--failed", "--since", "1h", "--rate", "2/s", "--json", environment=dict(stage.system.environment)
    )
    assert paced.stdout is not None
    for _ in range(3):
        assert await asyncio.wait_for(paced.stdout.readline(), 60)
    paced.kill()
    await paced.wait()
    repeated = await reelwire(stage, "rerun", "--failed", "--since", "1h", "--json")
    assert 3 <= 11 - len(repeated.json) <= 5, "what was sent is not sent again"
    async with stage.watching() as observer:
        await observer.until(lambda: all(len(observer.completions[name]) == 2 for name in names))
    again = await reelwire(stage, "rerun", "--failed", "--since", "1h")
    assert again.err.strip().endswith("0 sent")

    assert [len(await stage.billable(name)) for name in names] == [2] * 12, "once for each run"
    async with stage.watching() as observer:
        await observer.until(lambda: all(len(observer.completions[name]) == 2 for name in names))
        for number, name in enumerate(names):
            first, second = (event.body for event in observer.completions[name])
            assert (first["type"], first["run"], second["type"], second["run"]) == ("failed", 1, "completed", 2)
            assert second["metadata"] == {"number": number}
            assert second["attempt"] == 1
            assert {event.partition for event in observer.completions[name]} == {
                observer.completions[name][0].partition
            }
        assert [event["run"] for event in observer.events(one, "accepted")] == [1, 2]
        assert len(observer.completions[fine]) == 1
