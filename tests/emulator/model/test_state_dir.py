"""State directories that can't be used, and journals that can't be read."""

from __future__ import annotations

from pathlib import Path

import aiohttp
import pytest
from structlog.testing import capture_logs

from service.emulator.http.server import Emulator
from service.emulator.model.journal import Journal, StateUnusable
from service.emulator.options import EmulatorOptions
from tests.emulator.conftest import FAST, Client


async def test_a_state_directory_that_can_t_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    emulator = Emulator(EmulatorOptions(pace=FAST, state_dir=tmp_path / "file" / "state"))

    with pytest.raises(StateUnusable, match=r"the state directory can't be used: .*/file/state: not a directory; make"):
        await emulator.start()


async def test_a_journal_that_is_no_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "journal.jsonl").mkdir()
    emulator = Emulator(EmulatorOptions(pace=FAST, state_dir=tmp_path))

    with pytest.raises(StateUnusable, match=r"journal\.jsonl: is a directory; make it writable"):
        await emulator.start()


async def test_a_damaged_journal_is_named_with_its_lines_and_the_rest_is_used(
    session: aiohttp.ClientSession, clip: Path, tmp_path: Path
) -> None:
    emulator = Emulator(EmulatorOptions(pace=FAST, state_dir=tmp_path))
    client = Client(session, emulator)
    async with emulator:
        asset_id = await client.ready_asset(clip)
    journal = tmp_path / "journal.jsonl"
    whole = journal.read_bytes()
    count = len(whole.splitlines())
    journal.write_bytes(b"\x89PNG\n" + whole + b'{"fact":"asset","id":"1","colour":"blue"}\n{"fact":"asset_del')
    with capture_logs() as logs:
        async with emulator:
            shown = (await client.call("GET", f"/assets/{asset_id}")).json
    (said,) = [line for line in logs if line["event"] == "emulator_journal_damaged"]

    assert shown["status"] == "ready"
    assert (said["log_level"], said["lines"], said["damaged"]) == ("warning", [1, count + 2], 2)
    assert said["path"] == str(journal)
    assert not any("exc_info" in line for line in logs)


def test_only_a_half_line_is_cut_off_however_long_it_is(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_bytes(b'{"fact":"a"}\n' + b'{"fact":"' + b"x" * 200_000)
    journal = Journal(path)
    found = list(journal.read())
    journal.write("b")
    journal.close()

    assert found == [{"fact": "a"}]
    assert journal.damaged == []
    assert path.read_bytes() == b'{"fact":"a"}\n{"fact":"b"}\n'
