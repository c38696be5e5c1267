"""The quota of the account over all processes: what is beyond it is not begun, and health says until when."""

from __future__ import annotations

from typing import Any

import pytest

from tests.harness.stage import Stage

pytestmark = pytest.mark.acceptance


@pytest.fixture
def limited(make_own_stage: Any) -> Stage:
    """A stage whose account may begin two analyses a day."""
    made: Stage = make_own_stage({"REELWIRE_QUOTA__REQUESTS_PER_DAY": "2"})
    return made


async def test_a_days_quota_is_that_of_two_processes_together(limited: Stage) -> None:
    stage = limited
    await stage.system.serve("second")
    clip = stage.clip()
    keys = {stage.name(): f"cam{number}" for number in range(12)}  # some in each partition
    for name, key in keys.items():
        await stage.request_producer.send(stage.analyze(name, clip, mode="async"), key=key)

    await stage.until_stats(lambda stats: _created(stats) >= 2, seconds=60)
    _, page = await stage.until_page("health/ready", lambda page: "used up until" in page[1])
    assert "analyze" in page
    _, metrics = await stage.until_page("metrics", lambda page: 'reelwire_intake_paused{reason="quota"} 1.0' in page[1])
    assert "reelwire_quota_granted_total" in metrics

    assert _created(await stage.system.stats()) == 2


def _created(stats: dict[str, list[dict[str, object]]]) -> int:
    return sum(post["operation"] == "task_create" for post in stats["posts"])
