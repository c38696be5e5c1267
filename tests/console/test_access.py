"""Tokens, sessions and bounds on guessing. No network."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable

import httpx
import jwt
import pytest
from pydantic import SecretStr, ValidationError

from service.console.app import application
from service.console.http.hosts import host_of
from service.console.http.sessions import SESSION_SECONDS, Sessions, Tries, equal
from service.console.state import new_state
from service.console.stream_token import Grant, TokenExpired, TokenRefused, read_token, sign
from service.settings import ConsoleSettings, Settings
from tests.console.test_board import complete

pytestmark = pytest.mark.unit

SECRET = "a-secret-of-more-than-thirty-two-characters"
TOKEN = "a-token-for-the-tests-of-the-console"
DAY = 24 * 3600


def in_seconds(seconds: float) -> int:
    return int(time.time() + seconds)


def client_of(**console: object) -> httpx.AsyncClient:
    """A client of the routes alone: nothing is read, and there is no network."""
    given = {"token": TOKEN, "stream_secret": SECRET, **console}
    app = application(new_state(Settings(console=ConsoleSettings.model_validate(given))))
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost:8090")


def test_a_token_is_read_as_it_was_signed() -> None:
    for until in (in_seconds(60), in_seconds(7 * DAY)):
        for grant in (Grant(until, request_id="a"), Grant(until, tenant="acme")):
            assert read_token(SECRET, sign(SECRET, grant)) == grant


OTHER_CLAIMS: dict[str, dict[str, object]] = {
    "no end": {"exp": None},
    "for nothing": {"req": None},
    "for two": {"tenant": "b"},
    "a number for a request": {"req": 7},
    "an empty request": {"req": ""},
    "not yet": {"nbf": in_seconds(DAY)},  # computed when tests are collected, long before it runs
}


@pytest.mark.parametrize("claims", OTHER_CLAIMS.values(), ids=OTHER_CLAIMS)
def test_tokens_with_other_claims_are_refused(claims: dict[str, object]) -> None:
    whole = {"exp": in_seconds(60), "req": "a", **claims}
    given = {name: value for name, value in whole.items() if value is not None}
    with pytest.raises(TokenRefused):
        read_token(SECRET, jwt.encode(given, SECRET, "HS256"))


@pytest.mark.parametrize("token", ["no.token.atall", "x" * 5_000])
def test_what_is_no_token_is_refused(token: str) -> None:
    with pytest.raises(TokenRefused, match="it is signed with another secret"):
        read_token(SECRET, token)


@pytest.mark.parametrize(
    ("secret", "algorithm"),
    [
        ("another-secret-of-thirty-two-characters", "HS256"),
        (SECRET * 2, "HS512"),
        (SECRET * 2, "HS384"),
        ("", "none"),
    ],
)
def test_tokens_of_another_secret_or_algorithm_are_refused(secret: str, algorithm: str) -> None:
    token = jwt.encode({"exp": in_seconds(60), "req": "a"}, secret, algorithm)
    for asked in (SECRET, SECRET * 2):
        with pytest.raises(TokenRefused):
            read_token(asked, token)


@pytest.mark.parametrize(
    ("until", "said"),
    [
        (lambda: in_seconds(60) * 1_000, "not in milliseconds"),
        (lambda: in_seconds(8 * DAY), "more than 7 days away"),
        (lambda: time.time() + 60.5, "whole number"),
        (lambda: str(in_seconds(60)), "whole number"),
    ],
    ids=["milliseconds", "8 days", "a fraction", "a text"],
)
def test_an_end_that_is_not_in_seconds_or_too_far_away_is_said(until: Callable[[], object], said: str) -> None:
    token = jwt.encode({"exp": until(), "req": "a"}, SECRET, "HS256")
    with pytest.raises(TokenRefused, match=said):
        read_token(SECRET, token)


def signed(headers: dict[str, object] | None = None, **claims: object) -> str:
    return jwt.encode({"exp": in_seconds(60), "req": "a", **claims}, SECRET, "HS256", headers=headers)


OTHER_TOKENS: list[tuple[dict[str, object], dict[str, object], str]] = [
    ({"typ": "at+jwt"}, {}, "the member typ of its header must be JWT"),
    ({}, {"aud": "somebody else"}, "leave it out"),
    ({}, {"nbf": in_seconds(DAY)}, "not valid yet"),
    ({}, {"nbf": "tomorrow"}, "nbf must be a number"),
    ({}, {"exp": float("inf")}, "it was changed"),
    ({}, {"exp": 10**400}, "more than 7 days away"),
    ({}, {"tenant": ["a"], "req": None}, "either one request"),
]


@pytest.mark.parametrize(("headers", "claims", "said"), OTHER_TOKENS)
def test_a_token_for_something_else_or_another_time_is_told_so(
    headers: dict[str, object], claims: dict[str, object], said: str
) -> None:
    with pytest.raises(TokenRefused, match=said):
        read_token(SECRET, signed(headers, **claims))


def test_what_libraries_and_clocks_add_does_no_harm() -> None:
    for token in (signed(iat=in_seconds(30), nbf=in_seconds(30), sub=7, jti=8), signed({"typ": "jwt", "kid": "1"})):
        assert read_token(SECRET, token).request_id == "a"


@pytest.mark.parametrize("part", ["[" * 2_900, '{"a":' * 500, '{"alg":"HS256","crit":["x"],"x":1}', "\x00", "null"])
async def test_a_header_of_a_token_that_nobody_signed_is_refused(part: str) -> None:
    header = base64.urlsafe_b64encode(part.encode()).decode().rstrip("=")
    async with client_of() as client:
        answer = await client.get("/stream/a", params={"token": f"{header}.e30.AAAA"})
    assert answer.status_code == 403
    assert "it was changed" in answer.json()["error"]


@pytest.mark.parametrize("request_id", ["a/b", "../x", "ü%2F?#"])
async def test_a_token_for_an_id_of_any_characters_leads_to_that_one_alone(request_id: str) -> None:
    app = application(state := new_state(Settings(console=ConsoleSettings(stream_secret=SecretStr(SECRET)))))
    complete(state.hub.board, request_id, "for who may see it")
    path = "/stream/" + "".join(f"%{byte:02X}" for byte in request_id.encode())
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost:8090") as client:
        answer = await client.get(path, params={"token": signed(req=request_id)})
        other = await client.get(path, params={"token": signed(req="a")})
    assert b"for who may see it" in answer.content
    assert other.status_code == 403


@pytest.mark.parametrize("cursor", ["1.2.3", "v2", "1.1.1.-1.0", "9" * 90, "1.1.1.1.1.1"])
async def test_a_cursor_that_is_none_of_ours_is_told_to_begin_anew(cursor: str) -> None:
    app = application(state := new_state(Settings(console=ConsoleSettings(stream_secret=SecretStr(SECRET)))))
    complete(state.hub.board)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost:8090") as client:
        for path in ("/api/jobs/a/events", f"/stream/a?token={signed()}"):
            answer = await client.get(path, headers={"Last-Event-ID": cursor})
            assert answer.content == b"event: gap\ndata: {}\n\n"


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


async def test_no_refusal_of_a_stream_names_a_setting() -> None:
    wrong = jwt.encode({"exp": in_seconds(60), "req": "a"}, "another-secret-of-thirty-two-characters", "HS256")
    other = sign(SECRET, Grant(in_seconds(60), request_id="b"))
    late = sign(SECRET, Grant(in_seconds(-5), request_id="a"))
    said = []
    async with client_of() as client:
        for query in ("", "?token=", f"?token={wrong}", f"?token={other}", f"?token={late}"):
            answer = await client.get(f"/stream/a{query}")
            assert answer.status_code == 403
            said.append(answer.json()["error"])
        said.append((await client.get("/stream/a", headers={"Host": "evil.example.com"})).json()["error"])
    async with client_of(stream_secret=None) as client:
        answer = await client.get("/stream/a?token=x")
        assert answer.status_code == 404
        said.append(answer.json()["error"])
    assert said[0] == said[1] == "the token is missing: it is the parameter `token` of the address"
    assert "REELWIRE_" not in " ".join(said)


async def test_one_stream_too_many_is_told_without_a_setting() -> None:
    app = application(state := new_state(Settings(console=ConsoleSettings(stream_secret=SecretStr(SECRET)))))
    for _ in range(state.settings.console.max_viewers):
        state.hub.watch_list()
    token = sign(SECRET, Grant(in_seconds(60), request_id="a"))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost:8090") as client:
        answer = await client.get(f"/stream/a?token={token}")
    assert answer.status_code == 503
    assert "REELWIRE_" not in answer.text


async def test_a_list_says_how_many_ended_requests_are_kept_no_more() -> None:
    app = application(state := new_state(Settings(console=ConsoleSettings(ended_requests=2))))
    for name in ("a", "b", "c"):
        complete(state.hub.board, name, name=name)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost:8090") as client:
        answer = (await client.get("/api/jobs")).json()
    assert (answer["ended"], answer["left_out"]) == (2, 1)
    assert b'"left_out":1' in state.hub.first().data


def test_texts_are_compared_whatever_they_hold() -> None:
    assert equal("ü\ud800", "ü\ud800")
    assert not equal("a", "b")


def test_the_name_in_a_host_header() -> None:
    for netloc in ("Example.com:80", "example.com", "user@example.com:1"):
        assert host_of(netloc) == "example.com"
    assert host_of("[::1]:8090") == "::1"


@pytest.mark.parametrize(
    "host", ["https://console.example.com", "a.example.com:8090", "a.example.com/", "*", "[::1]", ""]
)
def test_a_host_is_a_name_alone(host: str) -> None:
    with pytest.raises(ValidationError, match=r"a name without scheme, port and path, such as console\.example\.com"):
        ConsoleSettings.model_validate({"hosts": [host]})


def test_names_of_hosts_are_taken() -> None:
    names = ("console.example.com", "reelwire_console", "Pod-7", "10.0.0.7", "fd00::7")
    assert ConsoleSettings.model_validate({"hosts": ",".join(names)}).hosts == names


@pytest.mark.parametrize(
    "wrong",
    [{"token": "short"}, {"stream_secret": "x" * 31}, {"origins": "example.com"}, {"origins": "https://a/b"}],
)
def test_settings_that_protect_nothing_are_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        ConsoleSettings(**wrong)
