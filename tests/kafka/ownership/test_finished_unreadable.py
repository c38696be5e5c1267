"""Finished records that this version can't read, on a real broker: their requests stay finished."""

from __future__ import annotations

import orjson
import pytest
from structlog.testing import capture_logs

from service.settings import JobSettings
from tests.kafka.ownership.world import Eventually, World, event_of, says

pytestmark = pytest.mark.integration

NEWER = orjson.dumps({"v": 2, "request": "a", "where": {"completion": 7}})
OF_ANOTHER = orjson.dumps(
    {"v": 1, "id": "b", "digest": "d", "completion": ["t", 0, 0], "ended_at_ms": 4_000_000_000_000}
)


@pytest.mark.parametrize("value", [NEWER, b"\xff\x00", b"", b"null", b'{"v":1,"id":"a"}', OF_ANOTHER])
async def test_a_request_whose_finished_record_cant_be_read_is_not_paid_again(
    world: World, eventually: Eventually, value: bytes
) -> None:
    offset = await world.write(world.topics.finished, b"a", value)
    with capture_logs() as logs:
        async with world.member() as member:
            await member.serves(0, 1)
            await world.request("a")
            await eventually(lambda: member.value("reelwire_requests_total", outcome="duplicate") == 1)
            await world.cancel("a")
            found = await world.until_read(
                world.topics.progress, lambda records: any(says(record, b"cancel_ignored") for record in records)
            )
            assert member.host.live() == set()
    (ignored,) = [event_of(record) for record in found if says(record, b"cancel_ignored")]
    assert ignored["reason"] == "finished"
    told = [entry for entry in logs if entry["event"] == "finished_unreadable"]
    assert {(entry["request_id"], entry["offset"]) for entry in told} == {("a", offset)}


async def test_it_is_forgotten_by_its_own_age_when_the_dedup_window_is_over(
    world: World, eventually: Eventually
) -> None:
    await world.write(world.topics.finished, b"a", NEWER)
    world.settings = world.settings.model_copy(update={"jobs": JobSettings(dedup_hours=1e-9)})
    async with world.member() as member:
        await world.request("a")
        await eventually(lambda: member.host.live() == {"a"})
