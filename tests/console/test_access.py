"""Tokens, sessions and bounds on guessing. No network."""

from __future__ import annotations

import time

import httpx
import jwt
import pytest
from pydantic import ValidationError

from service.console.app import application
from service.console.http.hosts import host_of
from service.console.http.sessions import SESSION_SECONDS, Sessions, Tries, equal
from service.console.state import new_state
from service.console.stream_token import Grant, TokenExpired, TokenRefused, read_token, sign
from service.settings import ConsoleSettings, Settings

pytestmark = pytest.mark.unit

SECRET = "a-secret-of-more-than-thirty-two-characters"
TOKEN = "a-token-for-the-tests-of-the-console"
UNTIL = 4_000_000_000  # in 2096; the same in every worker, since it is part of the names of tests


def client_of(**console: object) -> httpx.AsyncClient:
    """A client of the routes alone: nothing is read, and there is no network."""
    given = {"token": TOKEN, "stream_secret": SECRET, **console}
    app = application(new_state(Settings(console=ConsoleSettings.model_validate(given))))
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost:8090")


def test_a_token_is_read_as_it_was_signed() -> None:
    for grant in (Grant(UNTIL, request_id="a"), Grant(UNTIL, tenant="acme")):
        assert read_token(SECRET, sign(SECRET, grant)) == grant


@pytest.mark.parametrize(
    "token",
    [
        "",
        "no.token.atall",
        "x" * 5_000,
        jwt.encode({"exp": UNTIL, "req": "a"}, "another-secret-of-thirty-two-characters", "HS256"),
        jwt.encode({"exp": UNTIL, "req": "a"}, SECRET * 2, "HS512"),
        jwt.encode({"exp": UNTIL, "req": "a"}, "", "none"),
        jwt.encode({"req": "a"}, SECRET, "HS256"),
        jwt.encode({"exp": UNTIL}, SECRET, "HS256"),
        jwt.encode({"exp": UNTIL, "req": "a", "tenant": "b"}, SECRET, "HS256"),
        jwt.encode({"exp": UNTIL, "req": 7}, SECRET, "HS256"),
        jwt.encode({"exp": UNTIL, "req": ""}, SECRET, "HS256"),
        jwt.encode({"exp": UNTIL, "nbf": UNTIL, "req": "a"}, SECRET, "HS256"),
    ],
)
def test_other_tokens_are_refused(token: str) -> None:
    with pytest.raises(TokenRefused):
        read_token(SECRET, token)


def test_another_algorithm_of_the_same_secret_is_refused() -> None:
    token = jwt.encode({"exp": UNTIL, "req": "a"}, SECRET * 2, "HS384")
    with pytest.raises(TokenRefused):
        read_token(SECRET * 2, token)


def test_an_expired_token_is_told_apart() -> None:
    with pytest.raises(TokenExpired):
        read_token(SECRET, sign(SECRET, Grant(time.time() - 5, request_id="a")))


def test_sessions_end_by_time_by_signing_out_and_beyond_their_number() -> None:
    sessions = Sessions()
    identity, session = sessions.begin(0)
    assert sessions.find(identity, 1) is session
    assert sessions.find("guessed", 1) is None
    assert sessions.find(None, 1) is None
    assert sessions.find(identity, SESSION_SECONDS + 1) is None
    identity, _ = sessions.begin(0)
    sessions.end(identity)
    assert sessions.find(identity, 1) is None
    identity, _ = sessions.begin(0)
    for _ in range(1_000):
        sessions.begin(0)
    assert sessions.find(identity, 1) is None


def test_wrong_tries_of_one_address_and_of_all_have_to_wait() -> None:
    tries = Tries()
    for second in range(10):
        assert tries.wait_seconds("a", second) == 0
        tries.failed("a", second)
    assert tries.wait_seconds("a", 10) == 50
    assert tries.wait_seconds("b", 10) == 0
    assert tries.wait_seconds("a", 60) == 0
    for number in range(100):
        tries.failed(f"address {number}", 61)
    assert tries.wait_seconds("b", 61) == 60


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "http://localhost:8090"}, 200),
        ({"Origin": "https://console.example.com"}, 200),
        ({"Referer": "http://localhost:8090/"}, 200),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({}, 403),
        ({"Sec-Fetch-Site": "none"}, 403),
        ({"Origin": "null", "Sec-Fetch-Site": "same-origin"}, 403),
        ({"Origin": "http://[evil"}, 403),
        ({"Referer": "https://evil.example.com/"}, 403),
        ({"Origin": "http://localhost:8090", "Sec-Fetch-Site": "cross-site"}, 403),
    ],
)
async def test_signing_in_is_for_pages_of_the_console_alone(headers: dict[str, str], status: int) -> None:
    async with client_of(hosts="console.example.com") as client:
        answer = await client.post("/api/session", json={"token": TOKEN}, headers=headers)
        assert answer.status_code == status, answer.text
        assert ("Secure" in answer.headers.get("set-cookie", "")) is headers.get("Origin", "").startswith("https")


async def test_a_client_that_names_no_origin_is_told_what_to_send() -> None:
    async with client_of() as client:
        for method, path in (("POST", "/api/session"), ("DELETE", "/api/session"), ("POST", "/api/jobs/a/cancel")):
            answer = await client.request(method, path)
            assert answer.status_code == 403
            assert "send the header Origin" in answer.json()["error"]


def test_texts_are_compared_whatever_they_hold() -> None:
    assert equal("ü\ud800", "ü\ud800")
    assert not equal("a", "b")


def test_the_name_in_a_host_header() -> None:
    for netloc in ("Example.com:80", "example.com", "user@example.com:1"):
        assert host_of(netloc) == "example.com"
    assert host_of("[::1]:8090") == "::1"


@pytest.mark.parametrize(
    "wrong",
    [{"token": "short"}, {"stream_secret": "x" * 31}, {"origins": "example.com"}, {"origins": "https://a/b"}],
)
def test_settings_that_protect_nothing_are_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        ConsoleSettings(**wrong)
