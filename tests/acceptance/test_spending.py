"""A daily limit of spending over three processes, one of which is killed: nothing beyond it is begun."""

from __future__ import annotations

from typing import Any

import pytest

from tests.harness.stage import Stage

pytestmark = pytest.mark.acceptance

PRICE = {"REELWIRE_COST__PER_MINUTE": "1.5", "REELWIRE_COST__CURRENCY": "USD"}
"""A clip of 4 s costs 0.10."""
AFFORDABLE = 10
REQUESTS = 40


@pytest.fixture(scope="module")
def limited(make_stage: Any) -> Stage:
    """A stage that may spend 1.00 a day."""
    made: Stage = make_stage(PRICE | {"REELWIRE_COST__DAILY_LIMIT": "1.00", "REELWIRE_JOBS__MAX_STREAMS": "3"})
    return made


async def test_a_daily_limit_is_exceeded_by_nothing_that_was_not_paid_for_already(limited: Stage) -> None:
    stage, system = limited, limited.system
    for other in ("second", "third"):
        await system.serve(other)
    names = [stage.name("spends") for _ in range(REQUESTS)]
    clip = stage.clip()
    bodies = [
        stage.analyze(name, clip, mode="stream")
        | {"prompt": f"{name}: slowly [[emulate: fragments=20 interval_ms=100]]"}
        for name in names
    ]
    await stage.request_producer.send_all(*bodies)
    await stage.until_stats(lambda stats: len(_begun(stats)) >= 4)
    await system.service("second").kill()
    async with stage.watching() as observer:
        await observer.until_ended(names, seconds=90)
        ends = [observer.completion(name) or {} for name in names]

    begun = _begun(await system.stats())
    assert len(begun) <= AFFORDABLE, "each attempt that was begun may cost 0.10"
    refused = [end for end in ends if end["type"] == "failed"]
    assert {end["error"]["code"] for end in refused} == {"budget_exceeded"}
    assert "1.00 USD" in refused[0]["error"]["message"]
    paid = {post["prompt"].partition(":")[0] for post in begun}
    assert paid >= {end["request_id"] for end in ends if end["type"] == "completed"}
    _, page = await stage.until_page("health/ready", lambda page: "spent or reserved today" in page[1])
    assert "of 1.00 USD" in page
    assert await stage.broken_promises() == []


def _begun(stats: dict[str, Any]) -> list[dict[str, Any]]:
    return [post for post in stats["posts"] if post["operation"] == "analyze_stream" and not post.get("replayed")]
