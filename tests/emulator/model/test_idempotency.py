"""What a known `Idempotency-Key` does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import aiohttp
import pytest

from service.emulator.http.server import Emulator
from service.emulator.options import EmulatorOptions
from tests.emulator.conftest import FAST, Client


@pytest.mark.parametrize(
    ("mode", "statuses", "tasks"),
    [("honour", [202, 202, 409], 1), ("ignore", [202, 202, 202], 3), ("conflict", [202, 409, 409], 1)],
)
async def test_a_known_idempotency_key(
    session: aiohttp.ClientSession, clip: Path, mode: Any, statuses: list[int], tasks: int
) -> None:
    async with Emulator(EmulatorOptions(pace=FAST, idempotency=mode)) as emulator:
        client = Client(session, emulator)
        asset_id = await client.ready_asset(clip)
        answers = [await client.create_task(asset_id, key="k-1", prompt=prompt) for prompt in ("a", "a", "b")]
        by_key = emulator.stats()["tasks"]["by_idempotency_key"]

    assert [answer.status for answer in answers] == statuses
    assert len(by_key["k-1"]) == tasks
    if mode == "honour":
        assert answers[1].json == answers[0].json
        assert answers[1].headers["Idempotency-Replayed"] == "true"
