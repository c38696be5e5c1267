import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import orjson
import pytest
import uvloop

from benchmarks.standin import Connection
from benchmarks.workload import Workload, now_us, written_us
from tests.support.listeners import HOST, Listener

Platform = tuple[aiohttp.ClientSession, str]
Event = dict[str, Any]


@pytest.fixture
async def platform() -> AsyncIterator[Platform]:
    listener = Listener()
    await listener.serve(Connection)
    async with aiohttp.ClientSession() as session:
        yield session, f"http://{HOST}:{listener.port}/v1.3"
    await listener.close()


async def _stream(session: aiohttp.ClientSession, url: str, work: Workload) -> list[Event]:
    async with session.post(f"{url}/analyze", json={"prompt": work.prompt(), "stream": True}) as response:
        return [orjson.loads(line) async for line in response.content]


@pytest.mark.parametrize("rate", [0, 500])
async def test_streams_hold_as_many_lines_as_asked_for_on_one_connection_after_another(
    platform: Platform, rate: float
) -> None:
    session, url = platform
    for _ in range(2):
        start, *texts, end = await _stream(session, url, Workload(1, 40, rate, 1))
        assert start["event_type"] == "stream_start"
        assert [text["event_type"] for text in texts] == ["text_generation"] * 40
        written = [time for text in texts for time in written_us(text["text"])]
        assert written == sorted(written)
        assert end["metadata"]["usage"]["output_tokens"] == 40
        assert end["metadata"]["usage"]["input_tokens"] >= written[-1]


async def test_a_paced_stream_takes_its_time(platform: Platform) -> None:
    session, url = platform
    began = now_us()
    _, *texts, _ = await _stream(session, url, Workload(1, 11, 100, 1))
    assert written_us(texts[-1]["text"])[0] - began >= 99_000


async def test_a_slow_reader_holds_its_stream_back_and_no_other(platform: Platform) -> None:
    session, url = platform
    body = {"prompt": Workload(1, 200_000, 0, 1).prompt(), "stream": True}
    async with session.post(f"{url}/analyze", json=body) as slow:
        await slow.content.readline()
        assert len(await _stream(session, url, Workload(1, 100, 0, 1))) == 102
        slow.close()


async def test_tasks_are_made_and_run_for_ever(platform: Platform) -> None:
    session, url = platform
    async with session.post(f"{url}/analyze/tasks", json={"prompt": "x"}) as response:
        made = await response.json()
    async with session.get(f"{url}/analyze/tasks/{made['task_id']}") as response:
        seen = await response.json()
    assert (seen["task_id"], seen["status"]) == (made["task_id"], "processing")


def test_it_also_runs_on_uvloop() -> None:
    async def once() -> list[Event]:
        listener = Listener()
        await listener.serve(Connection)
        async with aiohttp.ClientSession() as session:
            found = await _stream(session, f"http://{HOST}:{listener.port}/v1.3", Workload(1, 5, 0, 1))
        await listener.close()
        return found

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert len(runner.run(once())) == 7
