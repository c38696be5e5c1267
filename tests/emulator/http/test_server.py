"""The emulator as a process of its own."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

import aiohttp
import pytest

from tests.emulator.conftest import until

_PROGRAM = """
import asyncio, pathlib, sys
from service.emulator.http.server import serve
from service.emulator.options import EmulatorOptions
asyncio.run(serve(EmulatorOptions(), pathlib.Path(sys.argv[1])))
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_process_of_its_own_serves_until_it_is_told_to_stop(
    tmp_path: Path, session: aiohttp.ClientSession, number: signal.Signals
) -> None:
    address = tmp_path / "address"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _PROGRAM, str(address), stdout=asyncio.subprocess.DEVNULL
    )

    async def published() -> str | None:
        return address.read_text() if address.exists() else None

    try:
        base_url = await until(published, 60)
        async with session.get(f"{base_url}/assets", headers={"x-api-key": "k"}) as response:
            assert response.status == 200
        process.send_signal(number)
        assert await asyncio.wait_for(process.wait(), 20) == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
