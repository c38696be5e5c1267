"""An archive whose backfill is killed and stopped: each request is in the topic once, never more than the rate."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any, ClassVar

import orjson
import pytest

from service.backfill.records import Sent
from service.backfill.sending.sender import Outgoing, Sender
from service.cli.group import reelwire
from service.kafka.writing.producer import ProducerFailed
from tests.backfill.conftest import Archive, Make, finish, ids

pytestmark = pytest.mark.acceptance

OBJECTS = int(os.environ.get("BACKFILL_OBJECTS", "600"))
RATE = int(os.environ.get("BACKFILL_RATE", "200"))
"""By hand: `BACKFILL_OBJECTS=10000 BACKFILL_RATE=250 pytest -n0 -s tests/backfill/test_interruptions.py`."""
WORK = (
    "--prompt",
    "What happens?",
    "--rate",
    f"{RATE}/s",
    "--no-wait",
    "--tenant",
    "museum",
    "--max-lag",
    "1000000",
    "--max-open",
    "1000000",
)


@pytest.fixture(scope="module")
def archive(make_archive: Make) -> Archive:
    return make_archive(serve=False)


def most_in_a_second(records: list[Any]) -> int:
    times = sorted(record.timestamp for record in records)
    return max(sum(1 for time in times[at : at + 2 * RATE] if time < first + 1_000) for at, first in enumerate(times))


async def test_each_request_is_sent_once_whatever_interrupts_it(archive: Archive) -> None:
    await archive.put({f"2019/{number:05}.mp4": b"video %d" % number for number in range(OBJECTS)})
    await archive.put({"2019/readme.txt": b"not a video", "2020/other.mp4": b"another prefix"})
    began, sent = time.monotonic(), 0
    for how in (signal.SIGKILL, signal.SIGINT, signal.SIGKILL):
        process = await archive.begin("s3://archive/2019", *WORK)
        sent = len(await archive.requests(at_least=sent + OBJECTS // 10, seconds=300))
        process.send_signal(how)
        result = await finish(process)
        print(f"{how.name} after {sent} requests")
        assert sent < OBJECTS
        if how is signal.SIGINT:
            assert result.code == 130, result.err
            assert "the same command goes on from here, and sends nothing twice" in result.err
    last = await archive.run("s3://archive/2019", *WORK, "--json")
    assert last.code == 0, last.err

    records = await archive.requests()
    assert Counter(ids(records)).most_common(1)[0][1] == 1
    bodies = [orjson.loads(record.value) for record in records]
    assert {body["video"]["uri"] for body in bodies} == {
        f"s3://archive/2019/{number:05}.mp4" for number in range(OBJECTS)
    }
    assert len(records) == OBJECTS
    assert {(body["priority"], body["mode"], body["tenant"]) for body in bodies} == {("low", "async", "museum")}
    assert most_in_a_second(records) <= RATE
    print(
        f"{len(records)} requests, {len(set(ids(records)))} ids, at most {most_in_a_second(records)} in a second, "
        f"{time.monotonic() - began:.1f} s with all starts"
    )

    again = await archive.run("s3://archive/2019", *WORK, "--json")
    assert (again.json[-1]["sent_now"], again.json[-1]["sent"], again.json[-1]["total"]) == (0, OBJECTS, OBJECTS)


async def test_it_holds_back_while_the_service_is_behind_and_a_second_one_takes_over(archive: Archive) -> None:
    await archive.put({f"2021/{number:03}.mp4": b"film %d" % number for number in range(60)})
    before = len(await archive.requests())
    work = ("s3://archive/2021", "--prompt", "What happens?", "--no-wait")
    limit = await archive.end() + 20  # markers of transactions count as well

    held = await archive.begin(*work, "--max-lag", str(limit), "--rate", "50/s", "--json")
    assert held.stdout is not None
    async with asyncio.timeout(60):
        while b"requests to read first" not in (line := await held.stdout.readline()):
            assert line
    told = orjson.loads(line)
    assert f"--max-lag {limit}" in told["reason"]
    assert "no process of the service is running" in told["reason"]
    partitions = archive.stage.system.settings().topics.partitions
    assert before < len(await archive.requests()) <= before + 20 + partitions

    second = await archive.run(*work, "--max-lag", "1000000")
    assert second.code == 0, second.err
    held.send_signal(signal.SIGINT)
    assert (await finish(held)).code == 130
    found = Counter(ids(await archive.requests()))
    assert (len(found), max(found.values())) == (before + 60, 1)


async def test_one_that_is_overtaken_stops_and_says_so(archive: Archive) -> None:
    await archive.put({f"2022/{number:03}.mp4": b"film %d" % number for number in range(30)})
    before = len(await archive.requests())
    work = ("s3://archive/2022", "--prompt", "What happens?", "--no-wait", "--max-lag", "1000000")

    slow = await archive.begin(*work, "--rate", "4/s")
    await archive.requests(at_least=before + 2)
    fast = await archive.run(*work, "--rate", "100/s")
    overtaken = await finish(slow)
    assert fast.code == 0, fast.err
    assert (overtaken.code, "Another backfill of the same archive" in overtaken.err) == (1, True), overtaken.err
    found = Counter(ids(await archive.requests()))
    assert (len(found), max(found.values())) == (before + 30, 1)


def test_a_transaction_whose_end_is_not_known_is_looked_up_in_the_topic(
    archive: Archive, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The broker's answer is lost twice: once the requests are in the topic, once they are not."""

    class Losing(Sender):
        lost: ClassVar[list[str]] = []

        async def send(self, requests: Sequence[Outgoing]) -> list[Sent]:
            when = ("after", "before", "never")[len(self.lost)]
            sent = await super().send(requests) if when != "before" else []
            if when == "never":
                return sent
            self.lost.append(when)
            await self._let_go(fenced=False)
            raise ProducerFailed("commit", "no answer in time", unreachable=True)

    asyncio.run(archive.put({f"2023/{number:03}.mp4": b"film %d" % number for number in range(30)}))
    before = len(asyncio.run(archive.requests()))
    for name, value in archive.stage.system.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("service.backfill.run.Sender", Losing)
    work = ("--prompt", "What happens?", "--no-wait", "--max-lag", "1000000", "--rate", "100/s")
    assert reelwire.main(["backfill", "s3://archive/2023", *work], standalone_mode=False) == 0
    assert "30 objects" in capfd.readouterr().out
    assert Losing.lost == ["after", "before"]
    found = Counter(ids(asyncio.run(archive.requests())))
    assert (len(found), max(found.values())) == (before + 30, 1)
