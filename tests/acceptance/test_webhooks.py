"""Webhooks with real processes: whoever gets one, the process that watches the task looks at it at once."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import aiohttp
import pytest

from tests.harness.stage import Stage

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(240)]

SECRET = "whsec_acceptance"
ASYNC: dict[str, Any] = {"mode": "async"}
HOOKED = {
    "REELWIRE_WEBHOOKS__SECRET": f"whsec_old {SECRET}",
    # No look is due within this test: what is noticed is noticed by a webhook.
    "REELWIRE_POLL__INITIAL_SECONDS": "600",
    "REELWIRE_POLL__MAX_SECONDS": "600",
}


@pytest.fixture
def own(make_own_stage: Any) -> Stage:
    """A stage without a service yet."""
    made: Stage = make_own_stage(HOOKED, serve=False, partitions=2)
    return made


async def _watching(stage: Stage, name: str) -> int:
    _, page = await stage.system.get("metrics", name)
    found = re.search(r'^reelwire_jobs\{phase="watching"\} (\S+)$', page, re.MULTILINE)
    return int(float(found.group(1))) if found else 0


async def _outcomes(stage: Stage, name: str) -> dict[str, int]:
    _, page = await stage.system.get("metrics", name)
    found = re.findall(r'^reelwire_webhooks_total\{outcome="(\w+)"\} (\S+)$', page, re.MULTILINE)
    return {outcome: int(float(count)) for outcome, count in found}


async def _looks(stage: Stage) -> int:
    operations = (await stage.system.stats())["operations"]
    return sum(operations.get(name, {}).get("calls", 0) for name in ("task_get", "task_list"))


async def _owner_and_other(stage: Stage) -> tuple[str, str]:
    """The process that watches the one task, once it does, and the other one."""
    async with asyncio.timeout(60):
        while True:
            for owner, other in (("a", "b"), ("b", "a")):
                if await _watching(stage, owner) == 1:
                    return owner, other
            await asyncio.sleep(0.05)


async def test_a_webhook_that_another_process_gets_wakes_the_one_that_watches_the_task(own: Stage) -> None:
    await own.system.pace(task_processing_seconds=3_600)
    await own.system.serve("a")
    await own.system.serve("b")
    name = own.name()
    await own.request_producer.send(own.analyze(name, own.clip(), **ASYNC))
    owner, other = await _owner_and_other(own)
    await own.system.webhook(other, SECRET)
    assert await _looks(own) == 0
    await own.system.finish()
    observer = await own.ended(name)
    assert (observer.completion(name) or {})["type"] == "completed"
    assert await _looks(own) == 1
    assert await _outcomes(own, other) == {"passed_on": 1}
    assert await _outcomes(own, owner) == {}
    assert await own.broken_promises() == []


async def test_a_webhook_that_comes_twice_costs_one_look_and_a_forged_one_none(own: Stage) -> None:
    await own.system.pace(task_processing_seconds=3_600)
    await own.system.serve("a")
    await own.system.webhook("a", SECRET, twice=True)
    await own.system.webhook("a", SECRET, forged=True)
    name = own.name()
    await own.request_producer.send(own.analyze(name, own.clip(), **ASYNC))
    await own.until_stats(lambda stats: stats["operations"].get("task_create"))
    async with asyncio.timeout(60):
        while await _watching(own, "a") == 0:
            await asyncio.sleep(0.05)
    await own.system.finish()
    await own.ended(name)
    async with asyncio.timeout(60):
        while sum((outcomes := await _outcomes(own, "a")).values()) < 3:
            await asyncio.sleep(0.05)
    assert outcomes == {"accepted": 1, "replayed": 1, "forged": 1}
    assert await _looks(own) == 1
    assert await own.broken_promises() == []


async def test_without_a_secret_webhooks_have_no_place(make_own_stage: Any) -> None:
    stage: Stage = await asyncio.to_thread(make_own_stage)
    url = f"{stage.system.url()}/webhooks/twelvelabs"
    async with aiohttp.ClientSession() as session, session.post(url, json={}) as response:
        assert response.status == 404
