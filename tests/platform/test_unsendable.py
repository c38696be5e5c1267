"""What no HTTP request can hold: an error of the request, and nothing is sent."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from service.platform.call import AnalysisCall
from service.platform.client import PlatformClient
from service.platform.errors import (
    NotFound,
    Unsendable,
)
from tests.platform.conftest import CALL
from tests.platform.scripted import Scripted, answer

Make = Callable[..., PlatformClient]


def nested(depth: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(depth):
        value = {"a": value}
    return value


UNSENDABLE: dict[str, AnalysisCall] = {
    "half of a character": replace(CALL, prompt="\ud83d"),
    "not a number": replace(CALL, temperature=math.nan),
    "without end": replace(CALL, response_format={"x": math.inf}),
    "far too long": replace(CALL, response_format={"x": 10**5000}),
    "nested too deeply": replace(CALL, response_format=nested(5000)),
    "no JSON at all": replace(CALL, response_format={"x": b"bytes"}),
}


@pytest.mark.parametrize("call", UNSENDABLE.values(), ids=UNSENDABLE.keys())
async def test_what_can_not_be_written_is_an_error_of_the_request_and_never_sent(
    platform: Scripted, client: PlatformClient, call: AnalysisCall
) -> None:
    with pytest.raises(Unsendable):
        await client.create_task(call, custom_id="c", idempotency_key="k")
    with pytest.raises(Unsendable):
        await client.analyze(call)
    with pytest.raises(Unsendable):
        async with client.stream(call):
            pass
    assert platform.seen == []


@pytest.mark.parametrize("number", [2**63, 2**64, -(2**70), 10**40])
async def test_an_integer_of_any_size_is_sent_as_it_is(platform: Scripted, client: PlatformClient, number: int) -> None:
    platform.respond = answer(202, {"task_id": "t", "status": "queued"})
    call = replace(CALL, response_format={"maximum": number})
    await client.create_task(call, custom_id="c", idempotency_key="k")
    assert json.loads(platform.seen[0].body)["response_format"] == {"maximum": number}


@pytest.mark.parametrize("key", ["é", "a\nb", "\ud83d", "a\0b"])
async def test_a_header_that_can_not_be_sent_is_an_error_of_the_request(
    platform: Scripted, client: PlatformClient, key: str
) -> None:
    with pytest.raises(Unsendable):
        await client.create_task(CALL, custom_id="c", idempotency_key=key)
    assert platform.seen == []


@pytest.mark.parametrize("identifier", ["\ud83d", "a\udc00b"])
async def test_an_id_that_no_address_can_hold_is_not_found(
    platform: Scripted, client: PlatformClient, identifier: str
) -> None:
    with pytest.raises(NotFound):
        await client.get_asset(identifier)
    assert platform.seen == []


async def test_an_id_that_is_too_long_for_an_address_is_an_error_of_the_request(
    platform: Scripted, client: PlatformClient
) -> None:
    with pytest.raises(Unsendable):
        await client.get_asset("a" * 70_000)
    assert platform.seen == []
