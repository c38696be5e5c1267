"""`verify` against the emulator itself, where nothing differs, and against the strict stand-in, where some does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from service.emulator.http.server import Emulator
from service.emulator.options import EmulatorOptions, Pace
from service.emulator.verification.verify import Finding, Outcome, planned, verify
from service.sandbox.footage import sample_video
from tests.emulator.conftest import FAST
from tests.standin.server import KEY, StandIn


async def _found(base_url: str, key: str, *, billed: bool = True) -> dict[str, Finding]:
    return {
        one.behaviour.name: one async for one in verify(base_url, key, sample_video(), billed=billed, wait_seconds=20)
    }


async def test_the_emulator_does_what_its_labels_say_and_is_left_without_assets() -> None:
    waiting = Pace(time_scale=0.05)
    async with Emulator(EmulatorOptions(pace=waiting, api_key=KEY)) as emulator:
        found = await _found(emulator.base_url, KEY)
        assets = len(emulator.platform.assets.all()) - len(emulator.platform.uploads.all())

    assert {name: one.seen for name, one in found.items() if one.outcome is not Outcome.SAME} == {}
    assert set(found) == {one.name for one, _ in planned(billed=True)}
    assert assets == 0


async def test_what_an_emulator_of_another_kind_does_is_told() -> None:
    options: dict[str, Any] = {
        "strict_parameters": True,
        "flat_errors": True,
        "idempotency": "ignore",
        "limit_headers": "none",
        "assets_ready_at_once": True,
        "strict_assets": True,
    }
    async with Emulator(EmulatorOptions(pace=FAST, **options)) as emulator:
        found = await _found(emulator.base_url, "any")

    # `assets_ready_at_once` leaves no asset that could be waited for.
    assert {name for name, one in found.items() if one.outcome is Outcome.DIFFERENT} == {
        "analysis.unknown_members",
        "answers.key",
        "assets.processing_first",
        "errors.shapes",
        "limits.headers",
        "tasks.create",
        "tasks.idempotency",
    }
    assert found["tasks.idempotency"].seen == "two tasks were made"


async def test_the_strict_stand_in_differs_where_the_documents_do_not_decide() -> None:
    async with StandIn() as standin:
        found = await _found(standin.base_url, KEY)

    different = {name: one.behaviour.known_from for name, one in found.items() if one.outcome is Outcome.DIFFERENT}
    # It looks into no video, tells nothing of limits, has no endpoint for metadata, and wants `stream` to be said.
    by_design = {"assets.failed", "assets.detail", "limits.headers", "assets.metadata", "analyze.stream_by_default"}
    assert {name for name, source in different.items() if source == "documented"} <= by_design
    assert "analysis.waits_for_asset" in different
    assert {name for name, one in found.items() if one.outcome is Outcome.NOT_TRIED} == set()


async def test_a_platform_that_does_not_answer_is_not_compared() -> None:
    async with Emulator(EmulatorOptions(pace=FAST)) as emulator:
        gone = emulator.base_url
    found = await _found(gone, "k", billed=False)

    assert {one.outcome for one in found.values()} == {Outcome.NOT_TRIED}


def test_what_is_billed_is_compared_on_request_only(tmp_path: Path) -> None:
    free, all_of_them = planned(billed=False), planned(billed=True)

    assert not any(probe.billed for _, probe in free)
    assert len(all_of_them) - len(free) >= 8
