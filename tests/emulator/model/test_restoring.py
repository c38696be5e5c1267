"""What an emulator knows after a restart."""

from __future__ import annotations

from pathlib import Path

import aiohttp

from service.emulator.http.server import Emulator
from service.emulator.options import EmulatorOptions
from tests.emulator.conftest import FAST, Client


async def test_a_restarted_emulator_knows_its_assets_tasks_and_keys(
    session: aiohttp.ClientSession, clip: Path, tmp_path: Path
) -> None:
    emulator = Emulator(EmulatorOptions(pace=FAST, state_dir=tmp_path))
    client = Client(session, emulator)
    async with emulator:
        asset_id = await client.ready_asset(clip)
        task_id = (await client.create_task(asset_id, key="k-1")).json["task_id"]
        before = await client.ended_task(task_id)
        port = emulator.options.port
    async with emulator:
        after = await client.ended_task(task_id)
        again = await client.create_task(asset_id, key="k-1")
        shown = (await client.call("GET", f"/assets/{asset_id}")).json
        created = emulator.stats()["tasks"]["by_idempotency_key"]

    assert emulator.options.port == port
    assert after["result"] == before["result"]
    assert again.json["task_id"] == task_id
    assert shown["status"] == "ready"
    assert created == {"k-1": [task_id]}


async def test_a_journal_of_another_version_does_not_stop_the_start(
    session: aiohttp.ClientSession, clip: Path, tmp_path: Path
) -> None:
    emulator = Emulator(EmulatorOptions(pace=FAST, state_dir=tmp_path))
    client = Client(session, emulator)
    async with emulator:
        asset_id = await client.ready_asset(clip)
    with (tmp_path / "journal.jsonl").open("ab") as journal:
        journal.write(b'{"fact":"asset","id":"1","colour":"blue"}\n{"fact":"task","id":"2"}\nno JSON\n{"fact":"key"}\n')
        journal.write(b'{"fact":"asset_del')
    async with emulator:
        shown = (await client.call("GET", f"/assets/{asset_id}")).json

    assert shown["status"] == "ready"
