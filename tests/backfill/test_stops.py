"""How a backfill ends that is stopped, or loses its broker or its disk: with a word, and nothing sent twice or lost."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient, NewPartitions

from tests.backfill.broken_store import BrokenStore
from tests.backfill.conftest import Archive, Make, finish, ids
from tests.harness.stage import Stage
from tests.kafka.moving_broker import MovingBroker

pytestmark = pytest.mark.acceptance

WORK = ("--prompt", "What happens?", "--no-wait", "--max-lag", "1000000")


@pytest.fixture(scope="module")
def archive(make_archive: Make) -> Archive:
    return make_archive(serve=False)


async def each_once(archive: Archive, wanted: int) -> None:
    found = Counter(ids(await archive.requests()))
    assert (len(found), max(found.values())) == (wanted, 1)


async def filled(archive: Archive, place: str, count: int) -> int:
    await archive.put({f"{place}/{number:03}.mp4": b"film %d" % number for number in range(count)})
    return len(await archive.requests())


async def test_a_second_interrupt_ends_it_at_once(archive: Archive) -> None:
    before = await filled(archive, "twice", 30)
    process = await archive.begin("s3://archive/twice", *WORK, "--rate", "2/s")
    await archive.requests(at_least=before + 2)
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGINT)
    result = await finish(process, seconds=20)
    assert result.code in (130, -signal.SIGINT), result.err
    assert "Traceback" not in result.err
    again = await archive.run("s3://archive/twice", *WORK)
    assert again.code == 0, again.err
    await each_once(archive, before + 30)


async def test_a_dry_run_that_waits_for_the_store_is_stopped(make_archive: Make) -> None:
    async with BrokenStore([f"a/{number:05}.mp4" for number in range(1_001)]).serving() as store:
        store.always = "500"
        archive = make_archive(serve=False, AWS_ENDPOINT_URL=store.url)
        process = await archive.begin("s3://archive/a", *WORK, "--dry-run")
        async with asyncio.timeout(30):
            while store.asked < 2:
                await asyncio.sleep(0.05)
        process.send_signal(signal.SIGINT)
        assert (await finish(process, seconds=10)).code == 130


async def test_partitions_that_are_added_meanwhile_change_nothing(archive: Archive) -> None:
    before = await filled(archive, "wider", 16)
    settings = archive.stage.system.settings()
    process = await archive.begin("s3://archive/wider", *WORK, "--rate", "4/s")
    await archive.requests(at_least=before + 2)
    admin = AdminClient({"bootstrap.servers": settings.kafka.bootstrap_servers})
    topics = (settings.topics.requests, settings.topics.completions, settings.topics.dead_letters)
    for changed in admin.create_partitions([NewPartitions(topic, 5) for topic in topics]).values():
        await asyncio.to_thread(changed.result)
    result = await finish(process)
    assert result.code == 0, result.err
    await archive.put({"wider/later.mp4": b"one more"})
    again = await archive.run("s3://archive/wider", *WORK, "--json")
    assert (again.code, again.json[-1]["sent_now"]) == (0, 1), again.err
    await each_once(archive, before + 17)


@pytest.fixture
async def moving_broker(tmp_path: Path) -> AsyncIterator[MovingBroker]:
    async with MovingBroker(tmp_path / "broker") as broker:
        yield broker


async def test_a_broker_that_is_away_for_a_while_is_waited_for(
    moving_broker: MovingBroker, make_own_stage: Callable[..., Stage], tmp_path: Path
) -> None:
    loop, servers = asyncio.get_running_loop(), moving_broker.bootstrap_servers
    folder = tmp_path / "films"
    folder.mkdir()
    for number in range(30):
        (folder / f"{number:03}.mp4").write_bytes(b"film %d" % number)
    environment = {"REELWIRE_SOURCES__FILE_ROOTS": str(tmp_path)}
    with ThreadPoolExecutor(1) as thread:
        stage = await loop.run_in_executor(
            thread, lambda: make_own_stage(environment, bootstrap_servers=servers, serve=False)
        )
    archive = Archive(None, stage)  # type: ignore[arg-type]
    process = await archive.begin(str(folder), *WORK, "--rate", "5/s", "--json")
    await archive.requests(at_least=3)
    moving_broker.kill()
    assert process.stdout is not None
    async with asyncio.timeout(120):
        while b"Kafka does not" not in (line := await process.stdout.readline()):
            assert line
    await moving_broker.come_back_elsewhere()
    result = await finish(process)
    assert result.code == 0, result.err
    await each_once(archive, 30)
