"""An archive whose backfill is killed and stopped: each request is in the topic once, never more than the rate."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from typing import Any

import orjson
import pytest

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
