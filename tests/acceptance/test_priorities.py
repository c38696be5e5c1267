"""An incident overtakes an archive, and one camera's flood delays another's request by a turn."""

from __future__ import annotations

from typing import Any

import pytest

from tests.harness.stage import Stage

pytestmark = pytest.mark.acceptance

SLOTS = 4
OTHERS = 120
SLOWLY = "[[emulate: fragments=5 interval_ms=20]]"


@pytest.fixture(scope="module")
def few_slots(make_stage: Any) -> Stage:
    """A stage whose service has few slots for streams."""
    made: Stage = make_stage({"REELWIRE_JOBS__MAX_STREAMS": str(SLOTS)})
    return made


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [({"priority": "low"}, {"priority": "high"}), ({"tenant": "flood"}, {"tenant": "other"})],
    ids=["an incident behind an archive", "one tenant beside another's flood"],
)
async def test_a_request_is_begun_long_before_what_came_before_it(
    few_slots: Stage, theirs: dict[str, str], ours: dict[str, str]
) -> None:
    stage, clip = few_slots, few_slots.clip()
    names = [stage.name("other") for _ in range(OTHERS)]
    wanted = stage.name("wanted")
    await stage.request_producer.send_all(*(_slow(stage, name, clip, **theirs) for name in names))
    await stage.until_stats(lambda stats: len(_begun(stats, "other")) >= SLOTS)
    async with stage.watching() as observer:
        await observer.until(lambda: all(observer.events(name, "accepted") for name in names))
        await stage.request_producer.send(_slow(stage, wanted, clip, **ours))
        await observer.until(lambda: bool(observer.events(wanted, "accepted")))
        before = len(_begun(await stage.system.stats(), "other"))
        await observer.until_ended([wanted])
        begun = [post["prompt"].partition(":")[0] for post in _begun(await stage.system.stats(), "")]
        overtook = begun.index(wanted) - before
        assert overtook <= 5 * SLOTS, f"{overtook} others were begun after it was accepted, and before it"
        await observer.until_ended(names, seconds=120)


def _slow(stage: Stage, name: str, clip: Any, **members: str) -> dict[str, Any]:
    return stage.analyze(name, clip, mode="stream", **members) | {"prompt": f"{name}: what happens? {SLOWLY}"}


def _begun(stats: dict[str, Any], whose: str) -> list[dict[str, Any]]:
    return [
        post for post in stats["posts"] if post["operation"] == "analyze_stream" and post["prompt"].startswith(whose)
    ]
