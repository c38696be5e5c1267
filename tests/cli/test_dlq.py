"""`dlq list|show|redrive|discard` against a real broker."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

from contracts.deadletters import dead_letter_headers, redrive_count_of
from service.kafka.connecting.connection import client_options
from service.settings import KafkaSettings, TopicSettings
from tests.cli.conftest import DEADLINE, Command, FakeService, base_environment, finish, start
from tests.fuzz.batch import decode_batches, encode_batch
from tests.fuzz.case import Case
from tests.fuzz.wire import Connection

pytestmark = pytest.mark.acceptance

RAW = b"\xff\xfe{not json\n"


async def dead(fake: FakeService, value: bytes, key: bytes, code: str) -> str:
    """A dead letter of a fresh record; its place is that in its own topic."""
    record = await fake.produce(value, key, [("trace", b"abc"), ("odd", b"\xff")])
    await fake.refuse(record, code, f"{code} it is")
    return str(record.partition)


async def test_list_shows_dead_letters_and_counts_codes(reelwire: Command, fake: FakeService) -> None:
    await dead(fake, RAW, b"a", "not_utf8")
    await dead(fake, b"{", b"b", "not_json")
    await dead(fake, b"{", b"c", "not_json")
    result = await reelwire("dlq", "list")
    assert result.code == 0, result.err
    assert len(result.out.splitlines()) == 4
    assert result.out.startswith("place\tfailed at\tcode\tkey\tredrives\tmessage\n")
    assert "not_json: 2, not_utf8: 1" in result.err


async def test_list_filters_by_code_key_and_time(reelwire: Command, fake: FakeService) -> None:
    await dead(fake, b"{", b"a", "not_json")
    await dead(fake, b"{}", b"b", "invalid")
    by_code = await reelwire("dlq", "list", "--code", "invalid", "--json")
    assert [line["key"] for line in by_code.json] == ["b"]
    by_key = await reelwire("dlq", "list", "--key", "a", "--json")
    assert [line["code"] for line in by_key.json] == ["not_json"]
    by_time = await reelwire("dlq", "list", "--since", "2026-01-01T00:00:00+01:00", "--json")
    assert by_time.json == []


async def test_list_of_an_empty_topic_says_so(reelwire: Command, fake: FakeService) -> None:
    result = await reelwire("dlq", "list")
    assert (result.code, result.out) == (0, "")
    assert "no dead letters" in result.err


async def test_show_tells_headers_and_gives_the_value_byte_for_byte(
    environment: dict[str, str], reelwire: Command, fake: FakeService
) -> None:
    place = f"{await dead(fake, RAW, b'a', 'not_utf8')}:0"
    [shown] = (await reelwire("dlq", "show", place, "--json")).json
    assert (shown["code"], shown["message"], shown["redrive_count"]) == ("not_utf8", "not_utf8 it is", 0)
    assert shown["headers"] == [["trace", "abc"], ["odd", "\\xff"]]
    assert shown["value"] == "\\xff\\xfe{not json\n"
    raw = subprocess.run(  # noqa: ASYNC221 - bytes of a short command
        [Path(sys.executable).parent / "reelwire", "dlq", "show", place, "--raw"],
        env=base_environment() | environment,
        capture_output=True,
        check=True,
        timeout=60,
    )
    assert raw.stdout == RAW


async def test_show_of_a_place_that_is_empty_fails(reelwire: Command, fake: FakeService) -> None:
    result = await reelwire("dlq", "show", "0:99")
    assert result.code == 1
    assert "there is no dead letter at 0:99" in result.err


async def test_redrive_sends_the_original_again_with_the_count_one_higher(
    reelwire: Command, fake: FakeService, topic_settings: TopicSettings
) -> None:
    place = f"{await dead(fake, RAW, b'a', 'not_utf8')}:0"
    result = await reelwire("dlq", "redrive", "--place", place)
    assert result.code == 0, result.err
    record = await fake.request()
    assert (record.key, record.value) == (b"a", RAW)
    assert str(record.partition) == place.partition(":")[0]
    assert list(record.headers)[:2] == [("trace", b"abc"), ("odd", b"\xff")]
    assert redrive_count_of(record.headers) == 1
    assert [name for name, _ in record.headers] == ["trace", "odd", "dlq.redrive.count", "dlq.redrive.of"]
    assert dict(record.headers)["dlq.redrive.of"] == f"{topic_settings.dead_letters}/{place}".encode()


async def test_redrive_leaves_out_what_was_redriven_too_often(reelwire: Command, fake: FakeService) -> None:
    await dead(fake, b"{", b"a", "not_json")
    result = await reelwire("dlq", "redrive", "--all", "--max-redrives", "0", "--code", "invalid")
    assert "0 sent" in result.err


async def test_a_dry_run_sends_nothing(reelwire: Command, fake: FakeService) -> None:
    await dead(fake, b"{", b"a", "not_json")
    result = await reelwire("dlq", "redrive", "--all", "--dry-run", "--json")
    assert result.code == 0, result.err
    assert [line["sent_to"] for line in result.json] == [None]
    marker = await fake.produce(b"marker", b"a")
    assert marker.value == b"marker"


async def nothing_more(fake: FakeService) -> None:
    """Nothing was sent to the requests topic that the test has not read."""
    for key in (b"a", b"b", b"c", b"d"):  # in every partition
        marker = await fake.produce(b"marker", key)
        assert marker.value == b"marker"


async def test_of_a_hundred_letters_each_is_sent_once_and_only_those_that_came_back_again(
    reelwire: Command, fake: FakeService
) -> None:
    for number in range(100):
        await dead(fake, b"{}", b"key-%d" % number, "invalid")
    first = await reelwire("dlq", "redrive", "--all")
    assert (first.code, first.err.splitlines()[-1]) == (0, "100 sent"), first.err
    sent = [await fake.request() for _ in range(100)]
    assert {record.key for record in sent} == {b"key-%d" % number for number in range(100)}
    for record in sent[:20]:
        await fake.refuse(record, "invalid", "still")

    listed = await reelwire("dlq", "list", "--open", "--json")
    assert {line["key"] for line in listed.json} == {record.key.decode() for record in sent[:20]}
    none = await reelwire("dlq", "redrive", "--all", "--max-redrives", "0")
    assert none.err.splitlines()[-1] == "0 sent; left out: 100 redriven before"
    second = await reelwire("dlq", "redrive", "--all", "--json")
    assert second.err.splitlines()[-1] == "20 sent; left out: 100 redriven before"
    assert len([line for line in second.json if line["sent_to"]]) == 20
    assert {(await fake.request()).key for _ in range(20)} == {record.key for record in sent[:20]}
    third = await reelwire("dlq", "redrive", "--all")
    assert third.err.splitlines()[-1] == "0 sent; left out: 120 redriven before"
    await nothing_more(fake)
    again = await reelwire("dlq", "redrive", "--key", "key-3", "--again", "--max-redrives", "0")
    assert again.err.splitlines()[-1] == "1 sent"


async def test_after_ctrl_c_the_rest_is_sent_and_nothing_twice(
    environment: dict[str, str], reelwire: Command, fake: FakeService
) -> None:
    for number in range(8):
        await dead(fake, b"{}", b"key-%d" % number, "invalid")
    process = await start("dlq", "redrive", "--all", "--rate", "2", environment=environment)
    assert process.stdout is not None
    for _ in range(2):
        await asyncio.wait_for(process.stdout.readline(), DEADLINE)
    process.send_signal(signal.SIGINT)
    cut = await finish(process)
    assert cut.code == 130
    assert "interrupted: " in cut.err
    assert "the same command goes on with the rest" in cut.err
    rest = await reelwire("dlq", "redrive", "--all")
    assert rest.code == 0, rest.err
    assert "redriven before" in rest.err
    assert sorted([(await fake.request()).key for _ in range(8)]) == [b"key-%d" % number for number in range(8)]
    await nothing_more(fake)


async def test_a_rate_is_kept(reelwire: Command, fake: FakeService) -> None:
    for _ in range(4):
        await dead(fake, b"{}", b"a", "invalid")
    result = await reelwire("dlq", "redrive", "--all", "--rate", "2")
    assert result.code == 0, result.err
    times = [(await fake.request()).timestamp for _ in range(4)]
    assert times[-1] - times[0] >= 1_400


async def test_what_may_have_been_redriven_before_the_topic_forgot_it_is_left_out(
    reelwire: Command, fake: FakeService, kafka: KafkaSettings, topic_settings: TopicSettings
) -> None:
    place = f"{await dead(fake, b'{}', b'a', 'invalid')}:0"
    newer = await fake.produce(b"another", b"a")
    admin = AIOKafkaAdminClient(**client_options(kafka))
    await admin.start()
    await admin.delete_records(
        {TopicPartition(topic_settings.requests, newer.partition): RecordsToDelete(newer.offset + 1)}
    )
    await admin.close()
    result = await reelwire("dlq", "redrive", "--place", place)
    assert "0 sent; left out: 1 so old that nobody knows" in result.err
    result = await reelwire("dlq", "redrive", "--place", place, "--again")
    assert result.err.splitlines()[-1] == "1 sent"


async def test_what_is_discarded_is_neither_listed_nor_redriven(
    reelwire: Command, fake: FakeService, topic_settings: TopicSettings
) -> None:
    place = f"{await dead(fake, b'{', b'a', 'not_json')}:0"
    await dead(fake, b"{}", b"b", "invalid")
    dry = await reelwire("dlq", "discard", "--place", place, "--dry-run")
    assert dry.err.splitlines()[-1] == "1 would be discarded"
    done = await reelwire("dlq", "discard", "--place", place, "--reason", "no longer needed")
    assert (done.code, done.err.splitlines()[-1]) == (0, "1 discarded"), done.err
    assert [line["key"] for line in (await reelwire("dlq", "list", "--json")).json] == ["b"]
    everything = await reelwire("dlq", "list", "--discarded", "--json")
    assert {line["key"] for line in everything.json} == {"a", "b"}
    once_more = await reelwire("dlq", "discard", "--place", place)
    assert once_more.err.splitlines()[-1] == "0 discarded; left out: 1 discarded before"
    sent = await reelwire("dlq", "redrive", "--all", "--again")
    assert sent.err.splitlines()[-1] == "1 sent; left out: 1 discarded before"
    assert (await fake.request()).key == b"b"
    await nothing_more(fake)
    watched = await reelwire("watch", "--from-beginning", "--until-now", "--json")
    kinds = [("discarded" in line, "dead_letter" in line) for line in watched.json if line["role"] == "dead_letters"]
    assert sorted(kinds) == [(False, True), (False, True), (True, False)]


@pytest.mark.parametrize("name", ["redrive", "discard"])
async def test_redrive_and_discard_need_to_be_told_which(command: Command, name: str) -> None:
    result = await command("dlq", name)
    assert result.code == 2
    assert "say which ones" in result.err


@pytest.mark.parametrize("place", ["1", "a:b", "1:-2"])
async def test_a_wrong_place_is_a_usage_error(command: Command, place: str) -> None:
    result = await command("dlq", "show", "--", place)
    assert result.code == 2
    assert "write PARTITION:OFFSET" in result.err


HOSTILE = Case(
    number=0,
    kind="hostile",
    value=b"{",
    key=b"\x1b]0;key\x07",
    headers=((b"\xff\xfe", b"\xc3\x28"), (b"\x1b[2J", None)),
)


async def test_dead_letters_of_strangers_are_listed_shown_and_sent_again_whatever_their_bytes(
    reelwire: Command, fake: FakeService, topic_settings: TopicSettings, kafka: KafkaSettings
) -> None:
    dead_letters, requests = topic_settings.dead_letters, topic_settings.requests
    ours = dead_letter_headers((), topic=requests, partition=0, offset=0, timestamp_ms=0, code="not_json",
                               message="cut\x1b[31m", failed_at=0, service_version="1", redrive_count=0)  # fmt: skip
    letter = replace(HOSTILE, headers=(*HOSTILE.headers, *((name.encode(), value) for name, value in ours)))
    with Connection(kafka.bootstrap_servers) as broker:
        broker.produce(dead_letters, 0, encode_batch([letter], now_ms=0))

        listed = await reelwire("dlq", "list")
        assert listed.code == 0, listed.err
        assert "\x1b" not in listed.out
        assert "cut\\x1b[31m" in listed.out
        shown = await reelwire("dlq", "show", "0:0", "--json")
        assert shown.json[0]["headers"] == [["\\xff\\xfe", "\\xc3("], ["\x1b[2J", None]]
        assert (await reelwire("dlq", "show", "0:0")).code == 0
        watched = await reelwire("watch", "--from-beginning", "--until-now", "--json")
        assert [line["role"] for line in watched.json] == ["dead_letters"]
        sent = await reelwire("dlq", "redrive", "--all")
        assert sent.code == 0, sent.err

        (answer,) = broker.fetch(requests, {0: 0}, wait_ms=1000, max_bytes=1_000_000)
    (record,) = [record for batch in decode_batches(answer.data) for record in batch.records()]
    assert (record.key, record.value) == (HOSTILE.key, HOSTILE.value)
    assert record.headers == (
        *HOSTILE.headers,
        (b"dlq.redrive.count", b"1"),
        (b"dlq.redrive.of", f"{dead_letters}/0:0".encode()),
    )
