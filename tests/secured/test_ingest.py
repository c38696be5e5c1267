"""`reelwire ingest` with a login that has its least rights and no other: enough, each of them needed, and named."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest

from service.ingest.rules.reading import read_rules
from service.kafka.rights.least import Right, ingest_rights
from service.sandbox.program import Program
from tests.ingest.world import World, record_of, s3_event
from tests.secured.broker import SecuredBroker
from tests.secured.conftest import OptionsOf, as_environment, run_apart

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]

RULE = """name = "clips"
prompt = "What happens?"
suffix = ".mp4"
key = "{stem}" """
WAIT_SECONDS = 60


@pytest.fixture
def world(secured: SecuredBroker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Topics that the administrator made; no process runs yet."""
    made = World(secured.local.bootstrap_servers, tmp_path_factory.mktemp("ingest"))
    run_apart(made.create())
    yield made
    run_apart(made.stop())


class Ingest:
    """One process that logs in without any right of its own, and the rights that it needs."""

    def __init__(self, world: World, options_of: OptionsOf, *, watch: Path | None = None) -> None:
        self.world = world
        rules = world.write_rules(RULE, topics=watch is None)
        settings = world.settings()
        read = read_rules(rules, max_bytes=settings.jobs.max_request_bytes)
        self.rights = list(ingest_rights(settings, read.topics, read.group_id(settings.kafka.group_id)))
        arguments = ["--rules", str(rules), *(() if watch is None else ("--watch", str(watch)))]
        login = as_environment(options_of("SCRAM"))
        self.program: Program = world.program("ingest", *arguments, REELWIRE_KAFKA__RIGHTS_CHECK_SECONDS="0.2", **login)

    async def page(self) -> tuple[int, str]:
        """Status and body of `/health/ready`."""
        try:
            url = f"{self.world.url('ingest')}/health/ready"
            async with aiohttp.ClientSession() as session, session.get(url) as response:
                return response.status, await response.text()
        except aiohttp.ClientError:
            return 0, ""

    async def until_ready(self) -> None:
        """Wait until it works."""
        async with asyncio.timeout(WAIT_SECONDS):
            while (await self.page())[0] != 200:
                await asyncio.sleep(0.05)

    async def until_said(self, event: str, times: int) -> None:
        """Wait until it has logged an event `times` times."""
        async with asyncio.timeout(WAIT_SECONDS):
            while len(self.program.said(event)) < times:
                await asyncio.sleep(0.05)

    async def until_sent(self, keys: set[str]) -> None:
        """Wait until there is a request for each of these, and fail when there are two."""
        async with asyncio.timeout(WAIT_SECONDS):
            while {request["_key"] for request in await self.world.requests()} != keys:
                await asyncio.sleep(0.1)
        assert len(await self.world.requests()) == len(keys)

    async def until_rejected(self, count: int) -> None:
        """Wait until there are so many dead letters, and fail when there are more."""
        async with asyncio.timeout(WAIT_SECONDS):
            while len(await self.world.letters()) < count:
                await asyncio.sleep(0.1)
        assert len(await self.world.letters()) == count

    async def granted(self, secured: SecuredBroker) -> None:
        """Start it without a right, see that it waits and names each, and grant them."""
        await self.program.start()
        await self.until_said("right_missing", len(self.rights))
        assert {entry["right"] for entry in self.program.said("right_missing")} == set(map(str, self.rights))
        status, body = await self.page()
        assert status == 503
        assert [right for right in self.rights if str(right) not in body] == []
        assert "reelwire topics acls --ingest" in body
        secured.grant(self.rights)
        await self.until_ready()
        assert self.program.said("ingest_active")

    async def missed(self, secured: SecuredBroker, right: Right, number: int) -> None:
        """Take one right away, and see that log and health name its operation and resource."""
        secured.take_away(right)
        await self.until_said("right_missing", len(self.rights) + number)
        said = self.program.said("right_missing")[-1]
        named = (said["operation"], said["resource_type"], said["resource"])
        assert named == (right.operation, right.kind, right.name)
        status, body = await self.page()
        assert status == 503
        assert str(right) in body

    async def given_back(self, secured: SecuredBroker, right: Right, number: int) -> None:
        """Grant it again, and wait until the process has seen it."""
        secured.grant([right])
        await self.until_said("right_back", len(self.rights) + number)

    async def ended_well(self) -> None:
        """It is there, has said nothing that it can't mean, and stops when asked to."""
        await self.until_ready()
        log = self.program.log_file.read_text()
        assert "never retrieved" not in log
        assert "Traceback" not in log
        assert self.program.running
        assert await self.program.stop() == 0


async def test_notifications_become_requests_with_exactly_these_rights_and_each_that_is_lost_is_named(
    secured: SecuredBroker, world: World, options_of: OptionsOf
) -> None:
    ingest = Ingest(world, options_of)
    await ingest.granted(secured)

    # Everything that it does, with nothing else granted.
    await asyncio.to_thread(world.send, [record_of(s3_event("first.mp4")), b"no notification"])
    await ingest.until_sent({"first"})
    await ingest.until_rejected(1)
    keys = {"first"}
    for number, right in enumerate(ingest.rights, 1):
        await ingest.missed(secured, right, number)
        await asyncio.to_thread(world.send, [record_of(s3_event(f"clip{number}.mp4")), b"no notification"])
        keys.add(f"clip{number}")
        await ingest.given_back(secured, right, number)
        await ingest.until_sent(keys)
        await ingest.until_rejected(1 + number)
    await ingest.ended_well()


async def test_a_folder_needs_no_topic_of_notifications(
    secured: SecuredBroker, world: World, options_of: OptionsOf
) -> None:
    watched = world.folder / "recordings"
    watched.mkdir()
    ingest = Ingest(world, options_of, watch=watched)
    assert {right.name for right in ingest.rights if right.kind == "topic"} == {
        world.settings().topics.requests,
        world.settings().topics.dead_letters,
    }
    await ingest.granted(secured)
    keys: set[str] = set()
    for number, right in enumerate(ingest.rights, 1):
        await ingest.missed(secured, right, number)
        (watched / f"clip{number}.mp4").write_bytes(b"a clip")
        keys.add(f"clip{number}")
        await ingest.given_back(secured, right, number)
        await ingest.until_sent(keys)
    await ingest.ended_well()
