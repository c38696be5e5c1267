"""Whatever is cancelled, whenever: connections close, slots come back, the next call works."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from service.platform.client import PlatformClient
from service.platform.errors import OutcomeUnknown, RateLimited, StreamBroken
from tests.platform.conftest import CALL
from tests.platform.scripted import NDJSON, Scripted, Seen, answer, chunk, hang, plain

Make = Callable[..., PlatformClient]
START = b'{"event_type":"stream_start","metadata":{"generation_id":"g"}}\n'
TASK = {"task_id": "t", "status": "queued"}


async def consume(client: PlatformClient) -> None:
    async with client.stream(CALL) as batches:
        async for _ in batches:
            pass


async def cancelled(task: asyncio.Task[Any]) -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


CALLS: list[Callable[[PlatformClient], Coroutine[Any, Any, Any]]] = [
    lambda client: client.get_task("t"),
    lambda client: client.create_task(CALL, custom_id="c", idempotency_key="k"),
    lambda client: client.analyze(CALL),
    consume,
]


@pytest.mark.parametrize("call", CALLS)
async def test_a_call_cancelled_while_it_waits_for_its_head_leaves_nothing(
    platform: Scripted, make_client: Make, call: Callable[[PlatformClient], Coroutine[Any, Any, Any]]
) -> None:
    client = make_client(max_calls=1, max_streams=1)
    for number in range(3):  # more often than there are slots
        task = asyncio.create_task(call(client))
        await platform.until(lambda least=number: len(platform.seen) > least)  # type: ignore[misc]
        await cancelled(task)
        await platform.until(lambda: platform.open_connections == 0)


async def test_a_stream_cancelled_in_its_middle_leaves_nothing(platform: Scripted, make_client: Make) -> None:
    client = make_client(max_streams=1)

    async def respond(seen: Seen, writer: asyncio.StreamWriter) -> None:
        writer.write(NDJSON + chunk(START))
        await hang(seen, writer)

    platform.respond = respond
    for _ in range(3):
        begun = asyncio.Event()

        async def one(begun: asyncio.Event = begun) -> None:
            async with client.stream(CALL) as batches:
                async for _ in batches:
                    begun.set()

        task = asyncio.create_task(one())
        await asyncio.wait_for(begun.wait(), 5)
        await cancelled(task)
        await platform.until(lambda: platform.open_connections == 0)


async def test_a_stream_left_early_closes_its_connection(platform: Scripted, make_client: Make) -> None:
    client = make_client(max_streams=1)

    async def respond(seen: Seen, writer: asyncio.StreamWriter) -> None:
        writer.write(NDJSON + chunk(START))
        await hang(seen, writer)

    platform.respond = respond
    for _ in range(3):
        async with client.stream(CALL) as batches:
            async for _ in batches:
                break
        await platform.until(lambda: platform.open_connections == 0)


async def test_a_call_cancelled_in_the_middle_of_its_body_leaves_nothing(platform: Scripted, make_client: Make) -> None:
    client = make_client(max_calls=1)

    async def respond(seen: Seen, writer: asyncio.StreamWriter) -> None:
        writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{"task_id"')
        await hang(seen, writer)

    platform.respond = respond
    task = asyncio.create_task(client.get_task("t"))
    await platform.until(lambda: len(platform.seen) == 1)
    await cancelled(task)
    await platform.until(lambda: platform.open_connections == 0)
    platform.respond = answer(200, TASK)
    await client.get_task("t")


async def test_a_call_cancelled_while_it_queues_gives_its_place_up(platform: Scripted, make_client: Make) -> None:
    client = make_client(max_calls=1)
    first = asyncio.create_task(client.get_task("a"))
    await platform.until(lambda: len(platform.seen) == 1)
    second = asyncio.create_task(client.get_task("b"))
    third = asyncio.create_task(client.get_task("c"))
    await asyncio.sleep(0)
    await cancelled(second)
    platform.respond = answer(200, TASK)
    await cancelled(first)
    assert (await third).id == "t"
    assert [seen.target.rsplit("/", 1)[1] for seen in platform.seen] == ["a", "c"]


async def test_a_call_cancelled_at_the_gate_is_never_sent(platform: Scripted, client: PlatformClient) -> None:
    platform.respond = answer(429, b"", "Retry-After: 2")
    with pytest.raises(RateLimited):
        await client.get_task("t")
    task = asyncio.create_task(client.get_task("t"))
    await asyncio.sleep(0)
    await cancelled(task)
    assert len(platform.seen) == 1


async def test_a_hundred_calls_cancelled_at_random_moments_leave_every_slot_free(
    platform: Scripted, make_client: Make
) -> None:
    client = make_client(max_calls=4)

    async def respond(_: Seen, writer: asyncio.StreamWriter) -> None:
        body = b'{"task_id":"t","status":"queued"}'
        whole = plain(200, body)
        for start in range(0, len(whole), 40):
            writer.write(whole[start : start + 40])
            await writer.drain()
            await asyncio.sleep(0)

    platform.respond = respond
    tasks = [asyncio.create_task(client.get_task("t")) for _ in range(100)]
    for number, task in enumerate(tasks):
        for _ in range(number % 7):
            await asyncio.sleep(0)
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    results = await asyncio.wait_for(asyncio.gather(*(client.get_task("t") for _ in range(20))), 10)
    assert len(results) == 20
    assert platform.open_connections <= 4


async def test_closing_the_client_ends_what_is_under_way(platform: Scripted, make_client: Make) -> None:
    client = make_client()
    call = asyncio.create_task(client.get_task("t"))
    stream = asyncio.create_task(consume(client))
    await platform.until(lambda: len(platform.seen) == 2)
    await client.aclose()
    results = await asyncio.gather(call, stream, return_exceptions=True)
    assert all(isinstance(result, OutcomeUnknown | StreamBroken) for result in results), results
    await platform.until(lambda: platform.open_connections == 0)
