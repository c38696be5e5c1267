"""Nonsense in the platform's answers: absent, repaired or cut, counted, and never an exception in the engine."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.platform.client import PlatformClient
from service.platform.errors import OutcomeUnknown, PlatformError, StreamBroken
from service.platform.reading import AnswerReader, decoded, repaired
from service.platform.task_reading import task_of
from service.platform.values import Analysis, Task
from service.telemetry.metrics import Metrics
from tests.platform.conftest import CALL
from tests.platform.scripted import Scripted, answer
from tests.platform.test_stream import collect

NOT_A_LENGTH = [
    b"-1", b"-0.0", b"0", b"NaN", b"Infinity", b"-Infinity", b"1e308", b"1e999", b"9" * 400, b"9" * 5000, b'"60"',
    b"true", b"[60]", b"{}", b'"\\ud83d"',
]  # fmt: skip


def counted(metrics: Metrics, member: str) -> float:
    return metrics.registry.get_sample_value("reelwire_platform_nonsense_total", {"member": member}) or 0.0


@pytest.mark.parametrize("value", NOT_A_LENGTH)
async def test_a_duration_that_is_none_is_absent_and_counted(
    platform: Scripted, client: PlatformClient, metrics: Metrics, value: bytes
) -> None:
    platform.respond = answer(200, b'{"_id":"a","status":"ready","size":7,"duration":%s}' % value)
    asset = await client.get_asset("a")
    assert (asset.duration, asset.size, counted(metrics, "duration")) == (None, 7, 1)
    platform.respond = answer(
        200, b'{"task_id":"t","status":"ready","video_source":{"system_metadata":{"duration":%s}}}' % value
    )
    assert (await client.get_task("t")).video_seconds is None
    assert counted(metrics, "duration") == 2


async def test_what_is_absent_is_not_counted(platform: Scripted, client: PlatformClient, metrics: Metrics) -> None:
    platform.respond = answer(200, b'{"_id":"a","status":"processing","duration":null,"size":null,"error":null}')
    await client.get_asset("a")
    assert "reelwire_platform_nonsense_total{" not in str(list(metrics.platform_nonsense.collect()))
    assert [s for m in metrics.platform_nonsense.collect() for s in m.samples] == []


@pytest.mark.parametrize("value", [b"-3", b"1.5", b"NaN", b"1e308", b"9" * 5000, b'"3"', b"false", b"[]"])
async def test_a_count_of_tokens_that_is_none_is_absent(
    platform: Scripted, client: PlatformClient, metrics: Metrics, value: bytes
) -> None:
    platform.respond = answer(200, b'{"id":"g","data":"x","usage":{"output_tokens":%s,"input_tokens":4.0}}' % value)
    assert await client.analyze(CALL) == Analysis("x", None, "g", None, 4)
    assert counted(metrics, "usage.output_tokens") == 1


HALVES = [
    (b'"a \\ud83d b"', "a \ufffd b"),
    (b'"\\ude00"', "\ufffd"),
    (b'"\\ud83d\\ude00"', "😀"),
    (b'"\\ude00\\ud83d"', "\ufffd\ufffd"),
    (b'"a\xffb"', "a\ufffdb"),
    (b'"\xed\xa0\xbd"', "\ufffd\ufffd\ufffd"),
]


@pytest.mark.parametrize(("raw", "text"), HALVES)
async def test_half_of_an_emoji_costs_one_character_and_not_the_task(
    platform: Scripted, client: PlatformClient, raw: bytes, text: str
) -> None:
    body = b'{"task_id":"t","status":"ready","result":{"data":%s},"error":{"message":%s,"code":%s}}' % (raw, raw, raw)
    platform.respond = answer(200, body)
    task = await client.get_task("t")
    assert task == Task("t", "ready", result=Analysis(text, warning_code=text, warning_message=text))
    str(task).encode()


@pytest.mark.parametrize(
    "value", [b"17", b"null", b"{}", b'""', b'"' + b"x" * 5_000_000 + b'"', b'"\\ud83d"', b'"a\\u0000b"', b'"a\\nb"']
)
async def test_an_id_or_a_status_that_is_none_leaves_the_outcome_unknown(
    platform: Scripted, client: PlatformClient, value: bytes
) -> None:
    for body in (b'{"task_id":%s,"status":"queued"}' % value, b'{"task_id":"t","status":%s}' % value):
        platform.respond = answer(202, body)
        with pytest.raises(OutcomeUnknown):
            await client.create_task(CALL, custom_id="c", idempotency_key="k")


async def test_words_for_people_are_cut(platform: Scripted, client: PlatformClient) -> None:
    long = "ä" * 5_000_000
    platform.respond = answer(200, {"task_id": "t", "status": "failed", "error": {"message": long, "code": long}})
    task = await client.get_task("t")
    assert (len(task.error_message or ""), len(task.error_code or "")) == (2000, 256)
    platform.respond = answer(200, {"_id": "a", "status": "failed", "error": long})
    assert len((await client.get_asset("a")).error_message or "") == 2000


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>Sign in</html>",
        b"[]",
        b'["task_id"]',
        b"null",
        b'"queued"',
        b"{",
        b'{"task_id":"t","status":"queued"',
        b"[" * 2_000_000,
        b'{"a":' * 2_000_000,
        b"\x00" * 100,
        b"\xff\xfe{\x00}\x00",
        b"9" * 5000,
    ],
)
async def test_a_success_that_is_no_object_leaves_the_outcome_unknown(
    platform: Scripted, client: PlatformClient, body: bytes
) -> None:
    platform.respond = answer(200, body)
    with pytest.raises(OutcomeUnknown):
        await client.get_task("t")
    with pytest.raises(OutcomeUnknown):
        await client.analyze(CALL)
    with pytest.raises(StreamBroken):
        await collect(client)


@pytest.mark.parametrize("status", [400, 403, 404, 409, 429, 500])
@pytest.mark.parametrize(
    "body",
    [b"[" * 2_000_000, b'{"code":{"a":1},"message":[1]}', b'{"error":{"code":NaN}}', b'{"message":"\\ud83d"}', b"\xff"],
)
async def test_an_error_may_hold_anything(platform: Scripted, client: PlatformClient, status: int, body: bytes) -> None:
    platform.respond = answer(status, body, "Retry-After: 0")
    with pytest.raises(PlatformError) as caught:
        await client.get_task("t")
    str(caught.value).encode()
    assert len(str(caught.value)) < 3_000


async def test_of_members_that_come_twice_the_last_counts(platform: Scripted, client: PlatformClient) -> None:
    platform.respond = answer(200, b'{"task_id":"a","task_id":"t","status":"failed","status":"queued"}')
    assert await client.get_task("t") == Task("t", "queued")


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(exclude_categories=()), max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
MEMBERS = st.sampled_from(
    ["task_id", "status", "custom_id", "created_at", "video_source", "result", "error", "usage", "data", "message"]
)


@given(st.dictionaries(MEMBERS, JSON | st.dictionaries(MEMBERS, JSON)))
def test_whatever_a_task_says_it_is_a_task_or_nothing(body: dict[str, Any]) -> None:
    reader = AnswerReader(Metrics().platform_nonsense)
    try:
        task = task_of({"task_id": "t", "status": "ready", **body}, reader)
    except OutcomeUnknown:
        return
    str(task).encode()
    assert task.video_seconds is None or 0 < task.video_seconds < 1e9
    if task.result is not None:
        for count in (task.result.output_tokens, task.result.input_tokens):
            assert count is None or 0 <= count <= 2**53


@given(JSON)
def test_no_member_of_any_kind_raises(value: Any) -> None:
    reader = AnswerReader(Metrics().platform_nonsense, "secret")
    ways: list[Callable[[Any, str], object]] = [
        reader.text, reader.short_text, reader.message, reader.seconds, reader.count, reader.instant
    ]  # fmt: skip
    for read in ways:
        str(read(value, "member")).encode()
    reader.error(value)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_value_or_no_json(body: bytes) -> None:
    with suppress(ValueError):
        decoded(body)


@given(st.text(st.characters(exclude_categories=()), max_size=50))
def test_a_repaired_text_can_be_written_and_a_whole_one_is_left_alone(text: str) -> None:
    fixed = repaired(text)
    fixed.encode()
    assert fixed == text or any("\ud800" <= character <= "\udfff" for character in text)
