"""Signing in, and what may be done then: with a real service that refuses, ends and cancels requests."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from service.console.stream_token import Grant, sign
from tests.console.conftest import ORIGIN, STREAM_SECRET, TOKEN, ConsoleUnderTest
from tests.console.wire import Wire
from tests.harness.stage import BRISK

pytestmark = pytest.mark.integration


@pytest.fixture
async def person(console: ConsoleUnderTest) -> AsyncIterator[httpx.AsyncClient]:
    """A browser that has signed in and sends the word against forged requests."""
    async with console.client(headers={"Origin": console.url}) as client:
        answer = await client.post("/api/session", json={"token": TOKEN})
        assert answer.status_code == 200, answer.text
        assert "HttpOnly" in answer.headers["set-cookie"]
        assert "SameSite=strict" in answer.headers["set-cookie"]
        client.headers["X-CSRF-Token"] = answer.json()["csrf"]
        yield client


async def _refused(console: ConsoleUnderTest) -> dict[str, Any]:
    """A dead letter of its own, as the list has it."""
    name = console.stage.name("bad")
    await console.stage.request_producer.send({"request_id": name, "prompt": "x"}, key=name)
    page = await console.until(
        "/api/dead-letters?state=open", lambda page: any(one["request_id"] == name for one in page["letters"])
    )
    found: dict[str, Any] = next(one for one in page["letters"] if one["request_id"] == name)
    return found


def _path(letter: dict[str, Any], act: str = "") -> str:
    return f"/api/dead-letters/{letter['partition']}/{letter['offset']}{act}"


async def test_a_dead_letter_is_shown_with_its_bytes_and_sent_again_once(
    console: ConsoleUnderTest, person: httpx.AsyncClient
) -> None:
    letter = await _refused(console)
    assert (letter["code"], letter["state"], letter["redrivable"]) == ("invalid", "open", True)
    whole = await console.get(_path(letter))
    assert letter["request_id"] in whole["value_text"]
    assert not whole["truncated"]

    answer = await person.post(_path(letter, "/redrive"))
    assert answer.status_code == 200, answer.text
    assert "sent again" in answer.json()["message"]
    again = await person.post(_path(letter, "/redrive"))
    assert again.status_code == 409
    assert "redriven before" in again.json()["error"]
    await console.until(
        "/api/dead-letters?state=redriven",
        lambda page: any(one["offset"] == letter["offset"] for one in page["letters"]),
    )
    # Its record is still wrong, so it comes back as another letter.
    await console.until(
        "/api/dead-letters?state=open",
        lambda page: any(
            one["request_id"] == letter["request_id"] and one["offset"] != letter["offset"] for one in page["letters"]
        ),
    )


async def test_a_dead_letter_is_discarded(console: ConsoleUnderTest, person: httpx.AsyncClient) -> None:
    letter = await _refused(console)
    answer = await person.post(_path(letter, "/discard"), json={"reason": "the camera is gone"})
    assert answer.status_code == 200, answer.text
    await console.until(_path(letter), lambda one: one.get("state") == "discarded")
    assert (await person.post(_path(letter, "/redrive"))).status_code == 409


async def test_a_live_request_is_canceled(console: ConsoleUnderTest, person: httpx.AsyncClient) -> None:
    stage, name = console.stage, console.stage.name("cancel")
    await stage.system.pace(task_processing_seconds=600)  # back to what it was when the task is there
    await stage.request_producer.send(stage.analyze(name, stage.clip(), mode="async"), key=name)
    await console.until(f"/api/jobs/{name}", lambda job: job.get("phase") == "watching")
    await stage.system.pace(**BRISK)
    answer = await person.post(f"/api/jobs/{name}/cancel")
    assert answer.status_code == 200, answer.text
    await console.until(f"/api/jobs/{name}", lambda job: job.get("phase") == "canceled")
    assert (await person.post(f"/api/jobs/{name}/cancel")).status_code == 409
    assert (await person.post("/api/jobs/nobody-knows/cancel")).status_code == 404


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"X-CSRF-Token": "guessed"}, 403),
        ({"X-CSRF-Token": ""}, 403),
        ({"Origin": "https://evil.example.com"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Cookie": "reelwire_console=guessed"}, 403),
    ],
)
async def test_nobody_acts_without_the_session_the_word_and_our_own_origin(
    person: httpx.AsyncClient, changes: dict[str, str], status: int
) -> None:
    if "Cookie" in changes:
        person.cookies.clear()
    answer = await person.post("/api/jobs/some/cancel", headers=changes)
    assert answer.status_code == status
    assert answer.json()["error"]


async def test_signing_out_ends_the_session(console: ConsoleUnderTest, person: httpx.AsyncClient) -> None:
    cookie = person.cookies["reelwire_console"]
    assert (await person.get("/api/session")).json()["actions"] is True
    await person.delete("/api/session")
    async with console.client(cookies={"reelwire_console": cookie}) as other:
        assert (await other.get("/api/session")).json()["actions"] is False


async def test_every_answer_keeps_the_page_to_itself_and_only_known_names_are_answered(
    console: ConsoleUnderTest,
) -> None:
    async with console.client() as client:
        answer = await client.get("/api/jobs/nobody-knows")
        assert answer.status_code == 404
        assert answer.headers["content-security-policy"].startswith("default-src 'none'; script-src 'self'")
        assert (answer.headers["x-content-type-options"], answer.headers["referrer-policy"]) == (
            "nosniff",
            "no-referrer",
        )
        assert (await client.get("/api/jobs", headers={"Host": "evil.example.com"})).status_code == 421
        assert (await client.get("/health/ready", headers={"Host": "pod.example.com"})).status_code == 200
        for wrong in ("/api/jobs?state=some", "/api/jobs?before=x", "/api/jobs?since=x", "/api/dead-letters?before=x"):
            assert (await client.get(wrong)).status_code == 400, wrong


async def test_a_browser_of_somebody_else_follows_what_its_token_is_for(console: ConsoleUnderTest, wire: Wire) -> None:
    name, other = console.stage.name("streamed"), console.stage.name("other")
    await wire.job(name, tenant="acme")
    await wire.fragments(name, "seen ", "by acme")
    await wire.completed(name, "seen by acme", tenant="acme")
    await console.until(f"/api/jobs/{name}", lambda job: job.get("completion"))
    until = time.time() + 60
    for grant in (Grant(until, request_id=name), Grant(until, tenant="acme")):
        token = sign(STREAM_SECRET, grant)
        events = await console.all_events(f"/stream/{name}?token={token}", headers={"Origin": ORIGIN})
        assert events[-1].data["text"] == "seen by acme"
    refusals = [
        (name, Grant(until, request_id=other), 403),
        (name, Grant(until, tenant="umbrella"), 404),
        (other, Grant(until, tenant="acme"), 404),
        (name, Grant(time.time() - 60, request_id=name), 403),
    ]
    async with console.client() as client:
        for asked, grant, status in refusals:
            answer = await client.get(f"/stream/{asked}", params={"token": sign(STREAM_SECRET, grant)})
            assert answer.status_code == status, grant
        token = sign(STREAM_SECRET, Grant(until, request_id=name))
        allowed = await client.get(f"/stream/{name}?token={token}", headers={"Origin": ORIGIN})
        assert allowed.headers["access-control-allow-origin"] == ORIGIN
        foreign = await client.get(f"/stream/{name}?token={token}", headers={"Origin": "https://evil.example.com"})
        assert "access-control-allow-origin" not in foreign.headers


async def test_a_stream_ends_when_its_token_does(console: ConsoleUnderTest, wire: Wire) -> None:
    name = console.stage.name("expires")
    await wire.job(name)
    await wire.fragments(name, "some")
    await console.until(f"/api/jobs/{name}", lambda job: job.get("text"))
    token = sign(STREAM_SECRET, Grant(time.time() + 2, request_id=name))
    events = await console.all_events(f"/stream/{name}?token={token}")
    assert [event.event for event in events] == ["fragment"]


async def test_guessing_the_token_is_bounded(console: ConsoleUnderTest) -> None:
    async with console.client(headers={"Origin": console.url}) as client:
        answers = [await client.post("/api/session", json={"token": f"wrong {n}"}) for n in range(11)]
        assert [answer.status_code for answer in answers] == [403] * 10 + [429]
        assert int(answers[-1].headers["retry-after"]) > 0
        assert (await client.post("/api/session", json={"token": TOKEN})).status_code == 429
