"""The quota of the account over all processes: what is beyond it is not begun, and health says until when."""

from __future__ import annotations

import re
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


async def test_a_days_minutes_of_video_are_begun_and_no_more(make_stage: Any) -> None:
    stage: Stage = make_stage({"REELWIRE_QUOTA__VIDEO_MINUTES_PER_DAY": "1"}, partitions=2)
    clip, names = stage.clip(), [stage.name("minutes") for _ in range(18)]  # of 4 s each
    await stage.request_producer.send_all(*(stage.analyze(name, clip, mode="async") for name in names))
    await stage.until_stats(lambda stats: _created(stats) >= 15, seconds=60)
    waits = re.compile(r'reelwire_quota_wait_seconds\{category="video_seconds"\} [1-9]')
    await stage.until_page("metrics", lambda page: waits.search(page[1]) is not None)
    assert _created(await stage.system.stats()) == 15


async def test_tokens_that_were_not_generated_are_there_for_others_on_the_same_day(make_stage: Any) -> None:
    """Each may have 1,500 of the day's 2,000, and has some hundred: who waits for tomorrow, begins today."""
    stage: Stage = make_stage({"REELWIRE_QUOTA__OUTPUT_TOKENS_PER_DAY": "2000"}, partitions=2)
    clip, names = stage.clip(), [stage.name("tokens") for _ in range(3)]
    await stage.request_producer.send_all(
        *(stage.analyze(name, clip, mode="stream", max_tokens=1_500) for name in names)
    )
    seen = await stage.ended(*names, seconds=60)
    ends = [seen.completion(name) or {} for name in names]
    assert {end["type"] for end in ends} == {"completed"}
    assert sum(end["usage"]["output_tokens"] for end in ends) <= 2_000
    assert await stage.broken_promises() == []


def _created(stats: dict[str, list[dict[str, object]]]) -> int:
    return sum(post["operation"] == "task_create" for post in stats["posts"])
