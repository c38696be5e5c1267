"""A platform that refuses, breaks, hangs and lies: no job is lost, nothing is paid for twice, and it can be seen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.harness.observer import Observer
from tests.harness.stage import Stage

pytestmark = pytest.mark.acceptance

IMPATIENT = {
    "REELWIRE_PLATFORM__READ_TIMEOUT_SECONDS": "1.5",
    "REELWIRE_PLATFORM__SYNC_TIMEOUT_SECONDS": "1.5",
    "REELWIRE_PLATFORM__STREAM_IDLE_SECONDS": "1.5",
}


@pytest.fixture(scope="module", params=["honour", "ignore"])
def own(make_stage: Callable[..., Stage], request: pytest.FixtureRequest) -> Stage:
    """A platform that honours `Idempotency-Key`, and one that does as if there were none."""
    return make_stage(IMPATIENT, emulator_options=("--idempotency", str(request.param)))


@pytest.fixture(scope="module")
def plain(make_stage: Callable[..., Stage]) -> Stage:
    return make_stage(IMPATIENT)


async def _befallen(stage: Stage, mode: str, *rules: dict[str, Any], **members: Any) -> tuple[Observer, str]:
    """Run one request under these rules. A rule without `contains` is given the request's own id."""
    name = stage.name(mode)
    await stage.system.fault(*(rule if "operation" not in rule else {"contains": f"{name}:", **rule} for rule in rules))
    await stage.request_producer.send(stage.analyze(name, stage.clip(), mode=mode, **members))
    observer = await stage.ended(name, seconds=60)
    fired = await stage.system.faults()
    assert all(rule["fired"] for rule in fired), "every fault must have happened"
    await stage.system.heal()
    return observer, name


def _end(observer: Observer, name: str) -> dict[str, Any]:
    return observer.completion(name) or {}


async def _counted(stage: Stage, metric: str, *labels: str) -> bool:
    """Whether the metrics have a sample of that name, with these labels among its own, that is not 0."""
    _, page = await stage.system.get("metrics")
    return any(
        line.startswith(f"{metric}{{") and all(label in line for label in labels) and not line.endswith(" 0.0")
        for line in page.splitlines()
    )


OPERATIONS = {"stream": "analyze_stream", "sync": "analyze_sync", "async": "task_create"}


@pytest.mark.parametrize("mode", OPERATIONS)
async def test_a_refusal_for_too_many_requests_is_waited_out_within_the_attempt(plain: Stage, mode: str) -> None:
    rule = {"operation": OPERATIONS[mode], "times": 2, "do": {"status": 429, "retry_after": "1"}}
    observer, name = await _befallen(plain, mode, rule)

    end = _end(observer, name)
    assert (end["type"], end["attempt"]) == ("completed", 1)
    delays = [event["delay_seconds"] for event in observer.events(name, "retrying")]
    assert len(delays) == 2
    assert min(delays) >= 1
    assert await _counted(plain, "reelwire_retries_total", 'reason="limited"', 'stage="analysis"')
    assert await _counted(plain, "reelwire_platform_calls_total", 'status="429"')
    told = [entry for entry in plain.system.service().said("job_event") if entry["request_id"] == name]
    assert [entry["type"] for entry in told] == ["retrying", "retrying"]


async def test_a_refusal_that_names_no_time_is_waited_out_too(plain: Stage) -> None:
    rule = {"operation": "analyze_stream", "times": 1, "do": {"status": 429}}
    observer, name = await _befallen(plain, "stream", rule)

    assert (_end(observer, name)["type"], _end(observer, name)["attempt"]) == ("completed", 1)
    assert len(observer.events(name, "retrying")) == 1


@pytest.mark.parametrize("mode", OPERATIONS)
async def test_server_errors_for_a_while_are_survived(own: Stage, mode: str) -> None:
    rule = {"operation": OPERATIONS[mode], "times": 3, "do": {"status": 500}}
    observer, name = await _befallen(own, mode, rule)

    end = _end(observer, name)
    assert end["type"] == "completed"
    assert len(observer.events(name, "retrying")) == 3
    assert await _counted(
        own, "reelwire_retries_total", 'reason="busy"' if mode != "async" else 'reason="', 'stage="analysis"'
    )
    if mode == "async":
        assert end["attempt"] == 1, "the claim of a task stands until it is known what became of it"


async def test_uploads_and_looks_at_tasks_survive_server_errors(plain: Stage) -> None:
    observer, name = await _befallen(
        plain,
        "async",
        {"path": "/assets", "operation": "asset_create", "contains": "", "times": 2, "do": {"status": 503}},
        {"operation": "asset_get", "contains": "", "times": 2, "do": {"status": 500, "body": "text"}},
        {"operation": "task_get", "contains": "", "times": 2, "do": {"status": 502, "body": "empty"}},
    )

    assert (_end(observer, name)["type"], _end(observer, name)["attempt"]) == ("completed", 1)
    assert len(observer.events(name, "task_created")) == 1


@pytest.mark.parametrize("mode", OPERATIONS)
async def test_a_platform_that_hangs_is_given_up_and_asked_again(own: Stage, mode: str) -> None:
    rule = {"operation": OPERATIONS[mode], "times": 1, "do": {"hang_seconds": 60}}
    observer, name = await _befallen(own, mode, rule)

    assert _end(observer, name)["type"] == "completed"
    assert observer.events(name, "retrying")


@pytest.mark.parametrize(
    "fault",
    [{"cut_after": 3}, {"end_after": 3}, {"error_after": 3}, {"garbage_after": 3}, {"stall_after": 3}],
    ids=lambda fault: next(iter(fault)),
)
async def test_a_stream_that_breaks_off_is_begun_again_as_a_new_attempt(plain: Stage, fault: dict[str, Any]) -> None:
    observer, name = await _befallen(plain, "stream", {"operation": "analyze_stream", "times": 1, "do": fault})

    end = _end(observer, name)
    assert (end["type"], end["attempt"]) == ("completed", 2)
    assert len(observer.fragments[name, 1]) >= 1
    assert observer.text(name, 2) == end["text"]
    assert len(await plain.billable(name)) == 2
    assert len(observer.events(name, "retrying")) == 1


async def test_a_task_whose_creation_was_not_answered_is_found_and_not_made_again(own: Stage) -> None:
    rule = {"operation": "task_create", "times": 1, "do": {"close": "after"}}
    observer, name = await _befallen(own, "async", rule)

    end = _end(observer, name)
    assert (end["type"], end["attempt"]) == ("completed", 1)
    assert len(await own.billable(name)) == 1
    assert len(observer.events(name, "task_created")) == 1


async def test_a_task_that_fails_ends_its_request_with_what_the_platform_said(plain: Stage) -> None:
    name = plain.name("task")
    prompt = f"{name}: [[emulate: task=fail code=video_unreadable message=broken]]"
    completion = await plain.answer(plain.analyze(name, plain.clip(), mode="async", prompt=prompt))

    error = completion["error"]
    assert (completion["type"], error["code"], error["stage"]) == ("failed", "task_failed", "analysis")
    assert error["platform"] == {"status": None, "code": "video_unreadable", "message": "broken"}


@pytest.mark.parametrize("mode", OPERATIONS)
async def test_what_the_platform_refuses_for_good_ends_with_its_own_words(plain: Stage, mode: str) -> None:
    fault = {"status": 400, "code": "parameter_invalid", "message": "no such thing"}
    observer, name = await _befallen(plain, mode, {"operation": OPERATIONS[mode], "times": 1, "do": fault})

    error = _end(observer, name)["error"]
    assert (error["code"], error["retryable"]) == ("rejected", False)
    assert error["platform"] == {"status": 400, "code": "parameter_invalid", "message": "no such thing"}
    assert observer.events(name, "retrying") == []


async def test_a_key_that_is_refused_for_a_while_stops_intake_and_readiness_and_loses_nothing(plain: Stage) -> None:
    clip = plain.clip()
    known, running, later = plain.name("known"), plain.name("running"), plain.name("later")
    await plain.answer(plain.analyze(known, clip, mode="sync"))
    await plain.system.fault({"do": {"status": 401}})
    await plain.request_producer.send(plain.analyze(running, clip, mode="stream"))
    status, page = await plain.until_page("health/ready", lambda page: page[0] != 200)
    assert status == 503
    assert '"platform"' in page
    await plain.until_page(
        "metrics", lambda page: 'reelwire_intake_paused{reason="unauthorized"} 1.0' in page[1].splitlines()
    )
    assert (await plain.system.get("health/live"))[0] == 200
    await plain.request_producer.send(plain.analyze(later, clip, mode="stream"))
    async with plain.watching() as observer:
        await observer.until(lambda: len(observer.events(running, "retrying")) > 1)
        assert observer.events(later, "accepted") == []
        assert not observer.ended([running])

        await plain.system.heal()
        await observer.until_ended([running, later])
        ends = [_end(observer, name) for name in (running, later)]
    assert [(end["type"], end["attempt"]) for end in ends] == [("completed", 1)] * 2
    await plain.until_page("health/ready", lambda page: page[0] == 200)


async def test_after_all_that_every_promise_was_kept(plain: Stage) -> None:
    assert await plain.broken_promises() == []


async def test_also_where_the_platform_may_ignore_keys(own: Stage) -> None:
    assert await own.broken_promises() == []
