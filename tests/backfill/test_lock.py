"""Without transactions a lock keeps a second backfill out, and one that was frozen too."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter

import pytest

from tests.backfill.conftest import Archive, Make, finish, ids

pytestmark = pytest.mark.acceptance

OBJECTS = 24
WORK = ("--prompt", "What happens?", "--max-lag", "1000000")
TOLD = "at_least_once: without transactions a request that is on its way"


@pytest.fixture(scope="module")
def archive(make_archive: Make) -> Archive:
    return make_archive(serve=False, REELWIRE_KAFKA__DELIVERY="at_least_once")


async def begun(archive: Archive, place: str) -> tuple[asyncio.subprocess.Process, int]:
    """A slow backfill of a new place that has sent some, and how many requests were in the topic before."""
    await archive.put({f"{place}/{number:03}.mp4": b"film %d" % number for number in range(OBJECTS)})
    before = len(await archive.requests())
    slow = await archive.begin(f"s3://archive/{place}", *WORK, "--rate", "2/s", "--no-wait")
    await archive.requests(at_least=before + 3)
    return slow, before


async def each_once(archive: Archive, before: int) -> None:
    found = Counter(ids(await archive.requests()))
    assert (len(found), max(found.values())) == (before + OBJECTS, 1)


async def test_a_second_one_is_refused_by_name_and_the_first_goes_on(archive: Archive) -> None:
    first, before = await begun(archive, "refused")
    second = await archive.run("s3://archive/refused", *WORK, "--rate", "100/s", "--no-wait")
    assert second.code == 1, second.err
    assert "another backfill of the same archive with the same work is under way" in second.err
    assert f"process {first.pid}, at " in second.err
    assert "--force" in second.err
    result = await finish(first)
    assert (result.code, TOLD in result.err) == (0, True), result.err
    await each_once(archive, before)


async def test_by_force_a_second_one_takes_over_and_the_first_says_so(archive: Archive) -> None:
    first, before = await begun(archive, "forced")
    second = await archive.run("s3://archive/forced", *WORK, "--rate", "100/s", "--no-wait", "--force")
    assert second.code == 0, second.err
    overtaken = await finish(first)
    assert (overtaken.code, "Another backfill of the same archive" in overtaken.err) == (1, True), overtaken.err
    await each_once(archive, before)


@pytest.mark.parametrize("second_stays", [True, False])
async def test_one_that_is_frozen_sends_nothing_when_it_wakes(archive: Archive, second_stays: bool) -> None:
    place = f"frozen-{second_stays}"
    first, before = await begun(archive, place)
    first.send_signal(signal.SIGSTOP)
    try:
        second = await archive.begin(
            f"s3://archive/{place}", *WORK, "--rate", "100/s", *(() if second_stays else ("--no-wait",))
        )
        await archive.requests(at_least=before + OBJECTS)
        if not second_stays:
            assert (await finish(second)).code == 0
    finally:
        first.send_signal(signal.SIGCONT)
    woken = await finish(first)
    if second_stays:
        assert (woken.code, "Another backfill of the same archive" in woken.err) == (1, True), woken.err
        second.send_signal(signal.SIGINT)
        assert (await finish(second)).code == 130
    else:
        assert woken.code == 0, woken.err
    await each_once(archive, before)


async def test_after_a_kill_the_same_command_goes_on_by_itself(archive: Archive) -> None:
    first, before = await begun(archive, "killed")
    first.send_signal(signal.SIGKILL)
    await finish(first)
    second = await archive.run("s3://archive/killed", *WORK, "--rate", "100/s", "--no-wait")
    assert second.code == 0, second.err
    found = ids(await archive.requests())
    assert len(set(found)) == before + OBJECTS
    assert len(found) - len(set(found)) <= 1, "only the one that was on its way may be there twice"
