"""Partitions are added while the service works, as docs/howto/partitions.md has it: what goes on, and what does not."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient, NewPartitions

from contracts.topics import TOPICS, Role
from service.kafka.topics.admin import check_topics
from service.sandbox.program import Program
from tests.conftest import MakeStage
from tests.harness.request_producer import RequestProducer
from tests.harness.stage import Stage

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(240)]

BEFORE, AFTER = 2, 4
SAME = [role for role in Role if TOPICS[role].same_partitions and role is not Role.REQUESTS]
"""Those that have as many partitions as the requests topic, which comes last."""


async def add_partitions(stage: Stage, *roles: Role) -> None:
    settings = stage.system.settings()
    admin = AdminClient({"bootstrap.servers": settings.kafka.bootstrap_servers})
    wanted = [NewPartitions(getattr(settings.topics, role), AFTER) for role in roles]
    for done in admin.create_partitions(wanted).values():
        await asyncio.to_thread(done.result)


async def errors(stage: Stage) -> list[str]:
    """What `reelwire topics check` calls an error."""
    return [str(one) for one in await check_topics(stage.system.settings()) if one.severity == "error"]


async def until_errors(stage: Stage, count: int) -> None:
    """Wait until `count` topics are called wrong: a broker tells of new partitions a moment after it has made them."""
    async with asyncio.timeout(30):
        while len(await errors(stage)) != count:
            await asyncio.sleep(0.1)


async def command(stage: Stage, *arguments: str) -> int:
    """The exit code of a command."""
    log = stage.system.folder / "command.log"
    program = Program("command", arguments, stage.system.environment, log, python=Path(sys.executable))
    await program.start()
    return await program.ended()


async def test_partitions_are_added_under_a_service_that_works(make_stage: MakeStage) -> None:
    stage = make_stage(serve=False, partitions=BEFORE)
    system, send = stage.system, stage.request_producer.send
    clip = stage.clip()
    await system.serve("first")
    await system.pace(task_processing_seconds=3_600)
    # The key cam-7 belongs to partition 1 of two and, by its hash, to partition 3 of four; cam-2 stays in partition 0.
    old, new, stays = 1, 3, 0
    held: dict[str, Any] = {"mode": "async"}
    await send(stage.analyze("runs-moved", clip, **held), key="cam-7", partition=old)
    await send(stage.analyze("runs-stays", clip, **held), key="cam-2", partition=stays)
    await send(stage.analyze("done", clip, mode="sync"), key="cam-7", partition=old)
    async with stage.watching() as observer:
        await observer.until_ended(["done"])
        await observer.until(
            lambda: all(observer.events(name, "task_created") for name in ("runs-moved", "runs-stays")), "two tasks"
        )

    await add_partitions(stage, *SAME)
    await until_errors(stage, len(SAME))  # the requests topic is the measure, and has less
    await add_partitions(stage, Role.REQUESTS)
    await until_errors(stage, 0)
    # A process that starts sees them at once; the others when the first one has left, or within five minutes.
    await system.serve("second")
    assert await system.service("first").stop() == 0
    await stage.until_said("partition_taken", AFTER, "second")
    system.environment["REELWIRE_TOPICS__PARTITIONS"] = str(AFTER)
    send = RequestProducer(system.settings()).send  # a producer of before does not know them yet

    # What is sent from now on by its key comes to another partition, which does not know the requests of before.
    await send({"type": "cancel", "request_id": "runs-moved"}, key="cam-7", partition=new)
    await send(stage.analyze("done", clip, mode="sync"), key="cam-7", partition=new)
    async with stage.watching() as observer:
        await observer.until(lambda: observer.events("runs-moved", "cancel_ignored"), "a cancel that knows nothing")
        await observer.until(lambda: len(observer.completions["done"]) == 2, "a second analysis of the same id")
        assert len(await stage.billable("done")) == 2
        # A command looks in every partition, and a record that is sent to the old one is recognised.
        assert await command(stage, "cancel", "runs-moved", "--wait") == 0
        await send(stage.analyze("done", clip, mode="sync"), key="cam-7", partition=old)
        await observer.until(lambda: observer.events("done", "duplicate"), "a duplicate")
        await system.finish()
        await observer.until_ended(["runs-moved", "runs-stays"])
        assert len(await stage.billable("done")) == 2
        ends = {name: (observer.completion(name) or {})["type"] for name in ("runs-moved", "runs-stays")}
        assert ends == {"runs-moved": "canceled", "runs-stays": "completed"}
        assert [len(await stage.billable(name)) for name in ends] == [1, 1]
