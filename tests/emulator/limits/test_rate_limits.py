"""Limits of the account, over HTTP: by option, by the admin endpoint and by a directive."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import aiohttp
import pytest

from service.emulator.http.server import Emulator
from service.emulator.limits.limits import PLANS, Limits
from service.emulator.options import EmulatorOptions
from tests.emulator.conftest import FAST, Client
from tests.support.clock import HandClock

NOWHERE = "0" * 24


def _limited(clock: Any = None, **options: Any) -> Emulator:
    return Emulator(EmulatorOptions(pace=FAST, **options), clock)


async def test_a_minute_s_requests_are_counted_told_and_refilled(session: aiohttp.ClientSession) -> None:
    clock = HandClock(1_000_000.0)
    async with _limited(clock, limits=Limits(analyze_rpm=3)) as emulator:
        client = Client(session, emulator)
        answers = [await client.create_task(NOWHERE) for _ in range(4)]
        clock.now += 20
        later = await client.create_task(NOWHERE)

    assert [answer.status for answer in answers] == [400, 400, 400, 429]
    assert [answer.headers["X-Ratelimit-Remaining"] for answer in answers] == ["2", "1", "0", "0"]
    assert {answer.headers["X-Ratelimit-Limit"] for answer in answers} == {"3"}
    assert answers[2].headers["X-Ratelimit-Used"] == "3"
    assert int(answers[2].headers["X-Ratelimit-Reset"]) == int(clock.time() - 20 + 60)
    assert answers[3].headers["Retry-After"] == "20"
    assert (later.status, later.headers["X-Ratelimit-Remaining"]) == (400, "0")


async def test_streams_and_tasks_share_a_limit_that_uploads_and_reads_do_not(
    session: aiohttp.ClientSession, clip: Path
) -> None:
    async with _limited(limits=Limits(analyze_rpm=1, upload_rpm=1)) as emulator:
        client = Client(session, emulator)
        asset_id = await client.ready_asset(clip)
        statuses = [
            (await client.analyze(asset_id)).status,
            (await client.create_task(asset_id)).status,
            (await client.upload(clip)).status,
            (await client.call("GET", f"/assets/{asset_id}")).status,
        ]

    assert statuses == [200, 429, 429, 200]


async def test_minutes_and_tokens_are_taken_when_they_are_known(session: aiohttp.ClientSession, clip: Path) -> None:
    async with _limited(limits=Limits(analyze_dph=1, analyze_tpm=1_000_000)) as emulator:
        client = Client(session, emulator)
        asset_id = await client.ready_asset(clip)
        await client.analyze(asset_id)
        left = (await client.call("GET", "/_emulator/limits")).json["left"]["analyze"]
        await client.call("POST", "/_emulator/limits", json={"analyze_tpm": 1})
        answers = [await client.create_task(asset_id) for _ in range(2)]

    assert 0.9 < left["dph"] < 0.95
    assert 0 < left["tpm"] < 1_000_000
    assert [answer.status for answer in answers] == [202, 429]
    assert "tokens a minute" in answers[1].json["error"]["message"]


async def test_a_day_that_is_used_up_is_waited_for_in_hours(session: aiohttp.ClientSession) -> None:
    clock = HandClock(10 * 86_400.0 + 3_600)
    async with _limited(clock, limits=Limits(analyze_rpd=1)) as emulator:
        client = Client(session, emulator)
        answers = [await client.analyze(NOWHERE) for _ in range(2)]
        clock.now += 23 * 3_600
        tomorrow = await client.analyze(NOWHERE)

    assert [answer.status for answer in (*answers, tomorrow)] == [404, 429, 404]
    assert answers[1].headers["Retry-After"] == str(23 * 3_600)


async def test_the_admin_endpoint_sets_uses_up_and_refills(client: Client) -> None:
    changed = await client.call("POST", "/_emulator/limits", json={"plan": "tier2", "upload_rpm": 7})
    await client.call("POST", "/_emulator/limits", json={"used_up": ["analyze"]})
    refused = await client.analyze(NOWHERE)
    await client.call("DELETE", "/_emulator/limits")
    wrong = [
        await client.call("POST", "/_emulator/limits", json=body)
        for body in ({"plan": "gold"}, {"rpm": 1}, {"used_up": ["sleep"]}, {"used_up": "analyze"}, {"upload_rpm": -1})
    ]

    assert changed.json["limits"] | {"upload_rpm": 120} == {
        name: getattr(PLANS["tier2"], name) for name in changed.json["limits"]
    }
    assert (refused.status, int(refused.headers["Retry-After"]) > 0) == (429, True)
    assert (await client.analyze(NOWHERE)).status == 404
    assert [answer.status for answer in wrong] == [400] * 5


@pytest.mark.parametrize(("word", "status"), [("minute", 429), ("day", 429), ("off", 200)])
async def test_a_directive_decides_for_one_request(client: Client, asset: str, word: str, status: int) -> None:
    await client.call("POST", "/_emulator/limits", json={"analyze_rpm": 0 if word == "off" else None})
    answer = await client.analyze(asset, f"What happens? [[emulate: limit={word}]]")

    assert answer.status == status
    assert ("Retry-After" in answer.headers) == (status == 429)


async def test_keys_share_the_limits_or_have_their_own(session: aiohttp.ClientSession) -> None:
    statuses = []
    for scope in ("organisation", "key"):
        async with _limited(limits=Limits(analyze_rpm=1), limit_scope=scope) as emulator:
            client = Client(session, emulator)
            for key in ("a", "b"):
                answer = await client.call("POST", "/analyze", json={}, headers={"x-api-key": key})
                statuses.append(answer.status)

    assert statuses == [400, 429, 400, 400]


async def test_the_minutes_of_a_free_plan_end_for_good(session: aiohttp.ClientSession, clip: Path) -> None:
    async with _limited(limits=Limits(lifetime_minutes=0)) as emulator:
        client = Client(session, emulator)
        answer = await client.analyze(await client.ready_asset(clip))

    assert (answer.status, answer.json["code"]) == (403, "usage_limit_exceeded")


@pytest.mark.parametrize(
    ("spelling", "names"),
    [
        ("plain", {"x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-used", "x-ratelimit-reset"}),
        ("request", {f"x-ratelimit-request-{part}" for part in ("limit", "remaining", "reset")}),
        ("none", set()),
    ],
)
async def test_the_headers_have_the_spelling_that_was_chosen(
    session: aiohttp.ClientSession, spelling: str, names: set[str]
) -> None:
    async with _limited(limit_headers=spelling) as emulator:
        answer = await Client(session, emulator).analyze(NOWHERE)

    assert {name.lower() for name in answer.headers if name.lower().startswith("x-ratelimit")} == names
