"""What becomes of records of the requests topic, on a real broker."""

from __future__ import annotations

import time
from typing import Any

import orjson
import pytest

from contracts.deadletters import DeadLetterInfo
from contracts.requests import digest_of
from service.kafka.logs.finished import decode_finished, encode_finished
from service.kafka.ports import FinishedRecord, RecordPosition
from service.settings import JobSettings
from tests.kafka.ownership.world import Eventually, World, event_of, request_of, says

pytestmark = pytest.mark.integration


async def test_bad_records_go_to_the_dead_letters_byte_for_byte_and_block_nothing(
    world: World, eventually: Eventually
) -> None:
    big = b'{"request_id":"big","prompt":"' + b"x" * (2 * 1024 * 1024) + b'"}'
    bad: list[tuple[bytes | None, bytes | None, str]] = [
        (b"{", b"k", "not_json"),
        (b'{"request_id":"\xff"}', None, "not_utf8"),
        (b"[]", b"k", "invalid"),
        (b'{"request_id":"x"}', b"\x00\xff", "invalid"),
        (b'{"type":"dance","request_id":"x"}', b"k", "unknown_type"),
        (big, b"k", "too_large"),
        (None, b"k", "not_json"),
    ]
    await world.request("before")
    offsets = [await world.send(value, key=key, headers=[("h", b"\x01"), ("h", b"2")]) for value, key, _ in bad]
    await world.request("after")
    async with world.member() as member:
        await eventually(lambda: member.host.live() == {"before", "after"})
        letters = await world.until_read(world.topics.dead_letters, lambda records: len(records) == len(bad))
        assert [(r.value, r.key) for r in letters] == [(value, key) for value, key, _ in bad]
        for letter, offset, (_, _, code) in zip(letters, offsets, bad, strict=True):
            info = DeadLetterInfo.from_headers(letter.headers)
            assert info.original_headers == (("h", b"\x01"), ("h", b"2"))
            assert (info.topic, info.partition, info.offset) == (world.topics.requests, 0, offset)
            assert info.code == code
        assert member.value("reelwire_dead_letters_total", code="too_large") == 1
        assert member.value("reelwire_requests_total", outcome="dead_letter") == len(bad)
        assert await world.committed() == len(bad) + 2


async def test_a_second_request_with_a_live_id_starts_nothing_and_says_so(world: World, eventually: Eventually) -> None:
    await world.request("a")
    await world.request("a")  # in the same batch
    async with world.member() as member:
        await eventually(lambda: member.value("reelwire_requests_total", outcome="duplicate") == 1)
        offset = await world.request("a", prompt="Something else.")
        found = await world.until_read(
            world.topics.progress, lambda records: sum(says(r, b"duplicate") for r in records) == 2
        )
        first, second = [record for record in found if says(record, b"duplicate")]
        assert event_of(first)["same_body"] is True
        assert event_of(second)["same_body"] is False
        assert (second.key, dict(second.headers)["ce_id"]) == (b"cam", f"0-{offset}-duplicate".encode())
        assert dict(second.headers)["ce_source"] == f"reelwire/{world.topics.requests}".encode()
        assert member.host.jobs(0).begun == ["a"]


async def test_a_record_that_is_read_again_after_a_crash_is_no_second_request(
    world: World, eventually: Eventually
) -> None:
    """The crash was between what the record led to and the commit of its offset."""
    digest = digest_of(orjson.loads(request_of("live")))
    value = orjson.dumps({"v": 1, "digest": digest, "offset": await world.request("live")})
    await world.write(world.topics.jobs, b"live", value)
    position = RecordPosition(world.topics.completions, 0, await world.write(world.topics.completions, b"cam", b"{}"))
    digest, now_ms = digest_of(orjson.loads(request_of("over"))), int(time.time() * 1000)
    ended = FinishedRecord("over", digest, position, now_ms, await world.request("over"))
    await world.write(world.topics.finished, b"over", encode_finished(ended))
    await world.request("live")
    async with world.member() as member:
        await eventually(lambda: member.value("reelwire_requests_total", outcome="duplicate") == 1)
        assert member.value("reelwire_requests_total", outcome="read_again") == 2
        [duplicate] = [r for r in await world.read(world.topics.progress) if says(r, b"duplicate")]
        assert dict(duplicate.headers)["ce_id"] == b"0-2-duplicate"
        assert len(await world.read(world.topics.completions)) == 1
        assert await world.committed() == 3


async def test_a_finished_record_of_an_older_version_is_read() -> None:
    position = RecordPosition("completions", 0, 5)
    record = FinishedRecord("a", "d", position, 7, 3)
    assert decode_finished(encode_finished(record)) == record
    old = {
        name: value for name, value in orjson.loads(encode_finished(record)).items() if name not in ("offset", "run")
    }
    assert decode_finished(orjson.dumps(old)) == FinishedRecord("a", "d", position, 7, None)


async def test_a_request_with_a_finished_id_has_its_completion_again_byte_for_byte(
    world: World, eventually: Eventually
) -> None:
    async with world.member() as member:
        await world.request("a")
        await eventually(lambda: member.host.live() == {"a"})
        await member.host.jobs(0).finish("a", "the text")
        await world.request("a")
        await world.until_read(world.topics.completions, lambda records: len(records) == 2)
    async with world.member() as successor:
        await world.request("a", prompt="Something else.")
        first, *again = await world.until_read(world.topics.completions, lambda records: len(records) == 3)
        assert [(r.key, r.value, r.headers) for r in again] == [(first.key, first.value, first.headers)] * 2
        progress = await world.read(world.topics.progress)
        assert [event_of(r)["same_body"] for r in progress if says(r, b"duplicate")] == [True, False]
        assert successor.host.live() == set()


async def test_a_finished_id_is_begun_again_by_a_higher_run(world: World, eventually: Eventually) -> None:
    async with world.member() as member:
        await world.request("a")
        await eventually(lambda: member.host.live() == {"a"})
        await world.request("a", run=2)  # while run 1 is under way
        await world.until_read(world.topics.progress, lambda records: any(says(r, b"duplicate") for r in records))
        await member.host.jobs(0).finish("a", "first")
        await world.request("a", run=3)
        await eventually(lambda: member.host.live() == {"a"})
        await member.host.jobs(0).finish("a", "third")
    async with world.member() as successor:
        for run in (1, 2, 3):
            await world.request("a", run=run)
        records = await world.until_read(world.topics.completions, lambda records: len(records) == 5)
        assert [event_of(record)["text"] for record in records] == ["first", *["third"] * 4]
        progress = await world.read(world.topics.progress)
        assert [event_of(r)["run"] for r in progress if says(r, b"duplicate")] == [2, 1, 2, 3]
        await world.request("a", run=4)
        await eventually(lambda: successor.host.live() == {"a"})
        assert successor.host.jobs(0).runs["a"] == 4


async def test_a_finished_id_whose_run_cant_be_read_is_not_begun_again(world: World, eventually: Eventually) -> None:
    await world.write(world.topics.finished, b"a", b'{"v":99}')
    async with world.member() as member:
        await world.request("a", run=2)
        await eventually(lambda: member.value("reelwire_requests_total", outcome="duplicate") == 1)
        assert member.host.live() == set()


async def test_an_id_is_forgotten_when_the_dedup_window_is_over(world: World, eventually: Eventually) -> None:
    world.settings = world.settings.model_copy(update={"jobs": JobSettings(dedup_hours=1e-9)})
    async with world.member() as member:
        await world.request("a")
        await eventually(lambda: member.host.live() == {"a"})
        await member.host.jobs(0).finish("a")
        await world.request("a")
        await eventually(lambda: member.host.live() == {"a"})


async def test_a_cancel_reaches_a_live_job_and_is_ignored_for_all_others(world: World, eventually: Eventually) -> None:
    async with world.member() as member:
        await world.request("live")
        await world.request("over")
        await eventually(lambda: member.host.live() == {"live", "over"})
        await member.host.jobs(0).finish("over")
        for name in ("live", "over", "never"):
            await world.cancel(name, tenant="acme", metadata={"by": name, "url": "https://h/?a=b"})
        await eventually(lambda: member.host.canceled == ["live"])
        found = await world.until_read(
            world.topics.progress, lambda records: sum(says(r, b"cancel_ignored") for r in records) == 2
        )
        ignored = [event_of(r) for r in found if says(r, b"cancel_ignored")]
        assert [(event["request_id"], event["reason"], event["tenant"]) for event in ignored] == [
            ("over", "finished", "acme"),
            ("never", "unknown", "acme"),
        ]
        assert [event["metadata"] for event in ignored] == [
            {"by": name, "url": "https://h/?a=b"} for name in ("over", "never")
        ]


async def test_intake_waits_while_the_engine_is_closed_and_the_member_stays_in_the_group(
    world: World, eventually: Eventually
) -> None:
    async with world.member() as member:
        await member.serves(0, 1)
        member.host.closed_because = "platform"
        await eventually(lambda: member.ownership.group.is_paused(0) and member.ownership.group.is_paused(1))
        await world.request("a")
        assert member.value("reelwire_intake_paused", reason="platform") == 1
        generation = member.ownership.assignment.generation
        await eventually(lambda: member.value("reelwire_input_lag", partition="0") == 1)
        assert member.host.live() == set()
        member.host.closed_because = None
        await eventually(lambda: member.host.live() == {"a"})
        assert member.ownership.assignment.generation == generation


async def test_draining_makes_durable_what_was_taken_and_takes_nothing_more(
    world: World, eventually: Eventually
) -> None:
    async with world.member() as member:
        await world.request("a")
        await eventually(lambda: member.host.live() == {"a"})
        await member.ownership.drain()
        await world.request("b")
        await eventually(lambda: member.value("reelwire_input_lag", partition="0") == 1)
        assert member.host.live() == {"a"}
    assert await world.committed() == 1


async def test_a_fault_of_the_engine_in_accepting_makes_a_dead_letter(
    world: World, eventually: Eventually, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world.member() as member:
        await member.serves(0, 1)
        jobs = member.host.jobs(0)
        good = jobs.accept

        def accept(request: Any, record: Any) -> Any:
            if request.request.request_id == "poison":
                raise RuntimeError("cannot")
            return good(request, record)

        monkeypatch.setattr(jobs, "accept", accept)
        await world.request("poison")
        await world.request("a")
        await eventually(lambda: member.host.live() == {"a"})
        (letter,) = await world.until_read(world.topics.dead_letters, lambda records: len(records) == 1)
        assert event_of(letter)["request_id"] == "poison"
