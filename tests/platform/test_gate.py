from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from email.utils import formatdate

import pytest

from service.platform.answers import wait_seconds
from service.platform.client import PlatformClient
from service.platform.errors import RateLimited
from service.platform.http.gate import Gate
from service.telemetry.metrics import Metrics
from tests.platform.conftest import CALL, MARK
from tests.platform.scripted import Scripted, answer
from tests.support.clock import HandClock

NOW = 1_800_000_000.0


@pytest.fixture
def clock() -> HandClock:
    return HandClock(epoch=NOW)


@pytest.fixture
def gate(metrics: Metrics, clock: HandClock) -> Gate:
    return Gate("analyze", metrics, clock)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7),
        ({"retry-after": " 0 "}, 0),
        ({"retry-after": "86400"}, 86400),
        ({"retry-after": "99999999999"}, 86_400),
        ({"retry-after": "9" * 5000}, 86_400),
        ({"retry-after": "Fri, 31 Dec 9999 23:59:59 GMT"}, 86_400),
        ({"retry-after": "Fri, 31 Dec 99999 23:59:59 GMT"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "9" * 400}, 86_400),
        ({"retry-after": formatdate(NOW + 90, usegmt=True)}, 90),
        ({"retry-after": formatdate(NOW - 90, usegmt=True)}, 0),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "1.5"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "²"}, None),
        ({}, None),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(int(NOW) + 40)}, 40),
        ({"x-ratelimit-request-remaining": "0", "x-ratelimit-request-reset": str(int(NOW) + 40)}, 40),
        ({"x-ratelimit-remaining": "3", "x-ratelimit-reset": str(int(NOW) + 40)}, None),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(int(NOW) - 40)}, 0),
        ({"retry-after": "2", "x-ratelimit-remaining": "0", "x-ratelimit-reset": str(int(NOW) + 40)}, 2),
    ],
)
def test_every_way_to_name_a_wait_is_understood(headers: dict[str, str], seconds: float | None) -> None:
    assert wait_seconds(headers, NOW) == seconds


def test_a_gate_that_is_told_how_long_stays_closed_exactly_so_long(gate: Gate, clock: HandClock) -> None:
    assert gate.close(86400.0, sent_at=clock.now) == 86400
    clock.now += 86399
    assert gate.left() == 1
    clock.now += 1
    assert gate.left() == 0


def test_a_shorter_wait_does_not_open_a_gate_earlier(gate: Gate, clock: HandClock) -> None:
    gate.close(100.0, sent_at=clock.now)
    gate.close(1.0, sent_at=clock.now)
    assert gate.left() == 100


def test_without_a_named_wait_refusals_double_it_and_a_success_forgets_them(gate: Gate, clock: HandClock) -> None:
    waits = []
    for _ in range(7):
        waits.append(gate.close(None, sent_at=clock.now))
        clock.now += waits[-1]
    assert waits == [2, 4, 8, 16, 32, 60, 60]
    gate.succeeded()
    assert gate.close(None, sent_at=clock.now) == 2


def test_calls_that_were_under_way_together_count_as_one_refusal(gate: Gate, clock: HandClock) -> None:
    sent_at = clock.now
    clock.now += 0.5
    assert [gate.close(None, sent_at=sent_at) for _ in range(20)] == [2.0] * 20
    assert gate.left() == 2


async def test_a_429_holds_back_every_later_call_of_its_category_and_no_other(
    platform: Scripted, client: PlatformClient, metrics: Metrics
) -> None:
    platform.respond = answer(429, b"", "Retry-After: 1")
    with pytest.raises(RateLimited) as caught:
        await client.create_task(CALL, custom_id="c", idempotency_key="k")
    assert caught.value.retry_after_seconds == 1
    assert 0 < client.paused("analyze") <= 1
    assert client.paused("read") == client.paused("upload") == 0
    assert metrics.registry.get_sample_value("reelwire_platform_paused", {"category": "analyze"}) == 1

    platform.respond = answer(200, {"task_id": "t", "status": "queued", "data": "x"})
    loop = asyncio.get_running_loop()
    waiting = [asyncio.create_task(client.analyze(CALL)) for _ in range(3)]
    await client.get_task("t")  # reads go on meanwhile
    assert [seen.method for seen in platform.seen] == ["POST", "GET"]
    started = loop.time()
    await asyncio.gather(*waiting)
    assert loop.time() - started > 0.5
    assert client.paused("analyze") == 0
    assert metrics.registry.get_sample_value("reelwire_platform_paused", {"category": "analyze"}) == 0


async def test_a_wait_of_hours_is_kept(platform: Scripted, client: PlatformClient) -> None:
    platform.respond = answer(429, {"code": "too_many_requests", "message": "tomorrow"}, "Retry-After: 40000")
    with pytest.raises(RateLimited) as caught:
        await client.create_asset_from_url(
            "https://media.example.com/a.mp4", filename="a.mp4", mark=MARK, request_id="r-1"
        )
    assert caught.value.retry_after_seconds == 40000
    assert client.paused("upload") > 39_990
    assert "upload" in repr(client)


@pytest.mark.parametrize("wish", ["100", "99999999999", "Fri, 31 Dec 9999 23:59:59 GMT"])
@pytest.mark.parametrize("operation", ["poll", "cancel", "search", "list", "upload", "create", "sync", "stream"])
async def test_a_call_at_a_gate_that_stays_closed_ends_at_once_and_is_not_sent(
    platform: Scripted, client: PlatformClient, operation: str, wish: str
) -> None:
    """Whoever calls is told how long it is: its own patience decides, and no slot is held meanwhile."""

    async def streamed() -> None:
        async with client.stream(CALL):
            pass

    url = "https://media.example.com/a.mp4"
    calls: dict[str, Callable[[], Awaitable[object]]] = {
        "poll": lambda: client.get_task("t"),
        "cancel": lambda: client.cancel_task("t"),
        "search": lambda: client.find_task("n", created_after=0),
        "list": lambda: client.find_assets("token", MARK, created_after=0),
        "upload": lambda: client.create_asset_from_url(url, filename="a", mark=MARK, request_id="r-1"),
        "create": lambda: client.create_task(CALL, custom_id="c", idempotency_key="k"),
        "sync": lambda: client.analyze(CALL),
        "stream": streamed,
    }
    platform.respond = answer(429, b"", f"Retry-After: {wish}")
    for _ in range(2):
        with pytest.raises(RateLimited) as caught:
            async with asyncio.timeout(20):
                await calls[operation]()
        assert 90 < caught.value.retry_after_seconds <= 86_400
    assert len(platform.seen) == 1


async def test_a_call_that_queued_for_a_slot_looks_at_the_gate_again(
    platform: Scripted, make_client: Callable[..., PlatformClient]
) -> None:
    client = make_client(max_calls=1)
    platform.respond = answer(429, b"", "Retry-After: 100")
    first = asyncio.create_task(client.get_task("a"))
    second = asyncio.create_task(client.get_task("b"))
    with pytest.raises(RateLimited):
        await first
    with pytest.raises(RateLimited):
        await second
    assert len(platform.seen) == 1
