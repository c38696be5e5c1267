"""Videos known to the platform, and claims to upload one, on a real broker."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import pytest

from service.clock import SystemClock
from service.kafka.asset_port import AssetNote
from service.kafka.logs.asset_log import AssetLog
from service.kafka.logs.claim import Claim
from service.kafka.ports import LeaseLost
from service.kafka.writing.sender import IdempotentSender
from service.settings import AssetSettings
from service.telemetry.metrics import Metrics
from tests.kafka.ownership.world import Eventually, World

pytestmark = pytest.mark.integration

Opener = Callable[..., Awaitable[AssetLog]]


class Alive:
    def __init__(self) -> None:
        self.yes = True

    def alive(self) -> bool:
        return self.yes


def note(identity: str, *, asset_id: str = "asset-1", used_hours_ago: float = 0.0) -> AssetNote:
    now_ms = int((time.time() - used_hours_ago * 3600) * 1000)
    return AssetNote(identity, asset_id, 12.5, now_ms, now_ms)


@pytest.fixture
async def open_log(world: World) -> AsyncIterator[Opener]:
    """Another process's asset log; `lease` lets a test take its lease away."""
    async with AsyncExitStack() as stack:

        async def make(*, lease: Alive | None = None, claim_seconds: float = 15.0) -> AssetLog:
            settings = world.settings.model_copy(update={"assets": AssetSettings(claim_seconds=claim_seconds)})
            clock, metrics = SystemClock(), Metrics()
            sender = IdempotentSender(settings=settings, metrics=metrics, clock=clock, lease=lease or Alive())
            await sender.start()
            stack.push_async_callback(sender.close)
            log = AssetLog(settings, sender, metrics, clock)
            await log.start()
            stack.push_async_callback(log.close)
            return log

        yield make


async def write(world: World, log: AssetLog, noted: AssetNote) -> None:
    """What a unit of a writer does."""
    record = log.record(noted)
    await world.write(record.topic, record.key, record.value, record.partition)


async def won(log: AssetLog, identity: str) -> Claim:
    claim = await log.acquire(identity)
    assert isinstance(claim, Claim)
    return claim


async def until_known(log: AssetLog, identity: str) -> AssetNote:
    async with asyncio.timeout(20):
        while (found := await log.current(identity)) is None:
            await asyncio.sleep(0.01)
    return found


async def test_a_note_is_found_by_every_process_and_after_a_restart(world: World, open_log: Opener) -> None:
    first, second = await open_log(), await open_log()
    await first.ready()
    assert await first.current("video") is None
    noted = note("video")
    await write(world, first, noted)
    assert await until_known(first, "video") == noted
    assert await until_known(second, "video") == noted
    third = await open_log()
    assert await third.acquire("video") == noted


async def test_of_two_processes_one_wins_and_the_other_waits_for_its_note(world: World, open_log: Opener) -> None:
    logs = [await open_log(), await open_log()]
    races = [asyncio.create_task(log.acquire("video")) for log in logs]
    done, waiting = await asyncio.wait(races, return_when=asyncio.FIRST_COMPLETED, timeout=20)
    assert (len(done), len(waiting)) == (1, 1)
    claim = done.pop().result()
    assert isinstance(claim, Claim)
    assert claim.held()
    await write(world, logs[0], note("video", asset_id="asset-7"))
    await claim.release()
    found = await waiting.pop()
    assert isinstance(found, AssetNote)
    assert found.asset_id == "asset-7"
    assert not claim.held()


async def test_many_jobs_of_many_processes_make_one_upload(world: World, open_log: Opener) -> None:
    logs = [await open_log() for _ in range(3)]
    uploads: list[str] = []

    async def job(log: AssetLog) -> str:
        found = await log.acquire("video")
        if isinstance(found, AssetNote):
            return found.asset_id
        async with found:
            uploads.append("upload")
            await write(world, log, note("video", asset_id="asset-9"))
        return "asset-9"

    async with asyncio.timeout(60):
        assert set(await asyncio.gather(*(job(log) for log in logs for _ in range(20)))) == {"asset-9"}
    assert uploads == ["upload"]


async def test_a_claim_released_without_a_note_goes_to_the_next(open_log: Opener) -> None:
    first, second = await open_log(), await open_log()
    claim = await won(first, "video")
    waiting = asyncio.create_task(second.acquire("video"))
    local = asyncio.create_task(first.acquire("video"))
    await claim.release()
    done, rest = await asyncio.wait({waiting, local}, return_when=asyncio.FIRST_COMPLETED, timeout=20)
    next_claim = done.pop().result()
    assert isinstance(next_claim, Claim)
    await next_claim.release()
    last = await rest.pop()
    assert isinstance(last, Claim)
    await last.release()


async def test_the_claim_of_a_dead_process_runs_out(open_log: Opener) -> None:
    lease = Alive()
    first, second = await open_log(lease=lease, claim_seconds=2.0), await open_log(claim_seconds=2.0)
    claim = await won(first, "video")
    waiting = asyncio.create_task(second.acquire("video"))
    lease.yes = False  # from now on it sends nothing
    begun = time.monotonic()
    successor = await waiting
    assert isinstance(successor, Claim)
    assert not claim.held()
    assert 1.0 < time.monotonic() - begun < 10.0
    await successor.release()


async def test_a_claim_lasts_as_long_as_its_holder_lives(open_log: Opener) -> None:
    first, second = await open_log(claim_seconds=1.0), await open_log(claim_seconds=1.0)
    claim = await won(first, "video")
    done, waiting = await asyncio.wait({asyncio.create_task(second.acquire("video"))}, timeout=3.5)
    assert not done
    assert claim.held()
    await claim.release()
    following = await waiting.pop()
    assert isinstance(following, Claim)
    await following.release()


async def test_a_claim_that_is_cancelled_while_it_is_made_is_given_up(open_log: Opener) -> None:
    first, second = await open_log(claim_seconds=600), await open_log(claim_seconds=600)
    await asyncio.gather(first.ready(), second.ready())
    attempt = asyncio.create_task(first.acquire("video"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    attempt.cancel()
    await asyncio.wait({attempt})
    async with asyncio.timeout(20):
        await (await won(second, "video")).release()
        await (await won(first, "video")).release()


async def test_an_invalidated_asset_is_forgotten_everywhere_unless_a_newer_one_is_there(
    world: World, open_log: Opener, eventually: Eventually
) -> None:
    first, second = await open_log(), await open_log()
    await first.ready()
    await write(world, first, note("video", asset_id="old"))
    await until_known(first, "video")
    await until_known(second, "video")
    await first.invalidate("video", "some other")
    assert await first.current("video") is not None
    await first.invalidate("video", "old")
    assert await first.current("video") is None
    async with asyncio.timeout(20):
        while await second.current("video") is not None:
            await asyncio.sleep(0.01)
    claim = await won(second, "video")
    await claim.release()


async def test_an_asset_unused_for_longer_than_the_window_is_uploaded_again(world: World, open_log: Opener) -> None:
    log = await open_log()
    await log.ready()
    await write(world, log, note("stale", used_hours_ago=169))
    await write(world, log, note("fresh", used_hours_ago=1))
    fresh = await until_known(log, "fresh")
    claim = await won(log, "stale")
    await claim.release()
    assert log.used(fresh) is None
    aging = note("aging", used_hours_ago=100)
    touched = log.used(aging)
    assert touched is not None
    assert touched.key == b"aging"


async def test_without_a_lease_nothing_can_be_claimed(open_log: Opener) -> None:
    lease = Alive()
    log = await open_log(lease=lease)
    await log.ready()
    lease.yes = False
    with pytest.raises(LeaseLost):
        await log.acquire("video")
    lease.yes = True
    await (await won(log, "video")).release()
