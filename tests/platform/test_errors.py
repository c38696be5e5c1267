from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import Callable
from typing import Any

import pytest

from contracts.events import PlatformAnswer
from service.domain.facts import FailureKind
from service.engine.work.failures import failure_of
from service.errors import SettingsError
from service.platform.answers import refusal
from service.platform.client import PlatformClient
from service.platform.errors import (
    Conflict,
    NotAuthorized,
    NotFound,
    PlatformError,
    RateLimited,
    Rejected,
    ServerFailed,
)
from service.settings import PlatformSettings
from service.telemetry.metrics import Metrics
from tests.platform.conftest import CALL, KEY
from tests.platform.scripted import Scripted, Seen, answer, hang_up, nonsense

Make = Callable[..., PlatformClient]


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        ({"code": "parameter_invalid", "message": "bad"}, "parameter_invalid", "bad"),
        ({"error": {"code": "parameter_invalid", "message": "bad", "details": {}}}, "parameter_invalid", "bad"),
        ({"code": 17, "message": {"a": 1}}, "17", '{"a":1}'),
        (b"", None, None),
        (b"<html>Bad Gateway</html>", None, "<html>Bad Gateway</html>"),
        (b"[1]", None, "[1]"),
        (b"null", None, None),
        ({}, None, None),
        (b"\xff\xfe", None, "\ufffd\ufffd"),
    ],
)
async def test_every_shape_of_an_error_body_is_understood(
    platform: Scripted, client: PlatformClient, body: Any, code: str | None, message: str | None
) -> None:
    platform.respond = answer(422, body)
    with pytest.raises(Rejected) as caught:
        await client.create_task(CALL, custom_id="c", idempotency_key="k")
    said = caught.value.answer
    assert said is not None
    assert (said.status, said.code, said.message) == (422, code, message)


@pytest.mark.parametrize(
    ("status", "code", "headers", "kind"),
    [
        (500, None, [], FailureKind.BUSY),
        (500, None, ["Retry-After: 5"], FailureKind.BUSY),
        (502, None, [], FailureKind.BUSY),
        (503, None, [], FailureKind.BUSY),
        (503, None, ["Retry-After: soon"], FailureKind.BUSY),
        (503, None, ["Retry-After: 5"], FailureKind.BUSY),
        (504, None, ["Retry-After: 5"], FailureKind.SERVER),
        (504, "request_canceled_or_timed_out", [], FailureKind.SERVER),
        (408, None, [], FailureKind.BUSY),
        (408, "request_canceled_or_timed_out", [], FailureKind.SERVER),
        (425, None, [], FailureKind.BUSY),
        (302, None, [], FailureKind.BUSY),
        (409, None, [], FailureKind.SERVER),
    ],
)
async def test_only_a_call_that_was_turned_away_before_any_work_is_not_billed(
    platform: Scripted, client: PlatformClient, status: int, code: str | None, headers: list[str], kind: FailureKind
) -> None:
    platform.respond = answer(status, {"code": code, "message": "no"}, *headers)
    with pytest.raises(PlatformError) as caught:
        await client.analyze(CALL)
    failure = failure_of(caught.value)
    assert failure.kind is kind
    assert failure.retry_after_seconds == (5 if headers == ["Retry-After: 5"] else None)


@pytest.mark.parametrize(
    ("status", "kind", "may_have_happened"),
    [
        (400, Rejected, False),
        (404, NotFound, False),
        (407, ServerFailed, False),
        (408, ServerFailed, False),
        (409, Conflict, False),
        (413, Rejected, False),
        (425, ServerFailed, False),
        (401, NotAuthorized, False),
        (403, NotAuthorized, False),
        (429, RateLimited, False),
        (500, ServerFailed, True),
        (503, ServerFailed, True),
        (302, ServerFailed, False),
        (307, ServerFailed, False),
    ],
)
async def test_the_status_decides_which_error_it_is(
    platform: Scripted, client: PlatformClient, status: int, kind: type[PlatformError], *, may_have_happened: bool
) -> None:
    platform.respond = answer(status, b"", "Location: http://127.0.0.1:9/elsewhere", "Retry-After: 0")
    with pytest.raises(PlatformError) as caught:
        await client.create_task(CALL, custom_id="c", idempotency_key="k")
    assert type(caught.value) is kind
    assert caught.value.may_have_happened is may_have_happened
    # Neither repeated nor redirected; a 403 may mean the key or this request, and another call tells which.
    assert [seen.method for seen in platform.seen] == (["POST", "GET"] if status == 403 else ["POST"])


async def test_a_message_of_any_length_is_cut(platform: Scripted, client: PlatformClient) -> None:
    platform.respond = answer(500, b"a word. " * 100_000)
    with pytest.raises(ServerFailed) as caught:
        await client.get_task("t")
    assert caught.value.answer is not None
    assert caught.value.answer.message is not None
    assert len(caught.value.answer.message) == 2000


@pytest.mark.parametrize("code", ["api_not_allowed", "api_allowed_for_paid_plan"])
@pytest.mark.parametrize("status", [401, 402, 403])
async def test_a_refusal_meant_for_one_request_leaves_the_key_alone(
    platform: Scripted, client: PlatformClient, status: int, code: str
) -> None:
    platform.respond = answer(status, {"code": code, "message": "not with this model"})
    with pytest.raises(Rejected):
        await client.create_task(CALL, custom_id="c", idempotency_key="k")
    assert not client.unauthorized
    assert len(platform.seen) == 1


@pytest.mark.parametrize("body", [b"", b"<html>blocked</html>", {"code": "region_not_allowed"}, {"code": "new_word"}])
async def test_a_403_that_does_not_say_whom_it_means_is_told_apart_by_another_call(
    platform: Scripted, client: PlatformClient, body: Any
) -> None:
    refuses_all = False

    async def respond(seen: Seen, writer: asyncio.StreamWriter) -> None:
        refused = refuses_all or seen.method == "POST"
        await (answer(403, body) if refused else answer(200, {"data": []}))(seen, writer)

    platform.respond = respond
    with pytest.raises(Rejected):
        await client.create_task(CALL, custom_id="c", idempotency_key="k")
    assert not client.unauthorized
    refuses_all = True
    with pytest.raises(NotAuthorized):
        await client.create_task(CALL, custom_id="c", idempotency_key="k")
    assert client.unauthorized


async def test_a_403_that_can_not_be_told_apart_is_asked_again_later(
    platform: Scripted, client: PlatformClient
) -> None:
    async def respond(seen: Seen, writer: asyncio.StreamWriter) -> None:
        await answer(403 if seen.method == "POST" else 503, b"")(seen, writer)

    platform.respond = respond
    with pytest.raises(ServerFailed) as caught:
        await client.create_task(CALL, custom_id="c", idempotency_key="k")
    assert not caught.value.may_have_happened
    assert not client.unauthorized


async def test_telling_a_403_apart_needs_no_more_connections_than_there_are(
    platform: Scripted, make_client: Make
) -> None:
    client = make_client(max_calls=1)
    platform.respond = answer(403, b"")
    calls = [client.create_task(CALL, custom_id="c", idempotency_key=f"k-{n}") for n in range(5)]
    async with asyncio.timeout(10):
        found = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(error) for error in found] == [NotAuthorized] * 5


async def test_the_key_is_sent_and_appears_nowhere_else(
    platform: Scripted, client: PlatformClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    shown: list[str] = [repr(client)]
    for respond in (
        answer(401, {"code": "api_key_invalid", "message": f"no such key: {KEY}"}),
        answer(500, f"debug: x-api-key={KEY}".encode()),
        answer(200, f"hello {KEY}".encode()),
        hang_up,
        nonsense,
    ):
        platform.respond = respond
        with pytest.raises(PlatformError) as caught:
            await client.create_task(CALL, custom_id="c", idempotency_key="k")
        error = caught.value
        shown += [str(error), repr(error), repr(error.answer), "".join(traceback.format_exception(error))]
        assert error.__cause__ is None
    assert platform.seen[0].headers["x-api-key"] == KEY
    assert not [text for text in [*shown, caplog.text] if KEY in text]
    assert "***" in shown[1]


@pytest.mark.parametrize("key", ["", "a b", "a\nb", "schlüssel"])
def test_a_key_that_no_header_can_hold_stops_the_start_without_being_shown(key: str) -> None:
    with pytest.raises(SettingsError) as caught:
        PlatformClient(PlatformSettings(), key, Metrics(), None)  # type: ignore[arg-type]
    assert not key or key not in str(caught.value)


async def test_a_bad_key_is_remembered_until_a_call_succeeds(platform: Scripted, client: PlatformClient) -> None:
    platform.respond = answer(401, {"code": "api_key_invalid", "message": "no"})
    with pytest.raises(NotAuthorized):
        await client.get_task("t")
    assert client.unauthorized
    platform.respond = answer(404, b"")
    with pytest.raises(NotFound):
        await client.get_task("t")
    assert client.unauthorized
    platform.respond = answer(200, {"task_id": "t", "status": "queued"})
    await client.get_task("t")
    assert not client.unauthorized


@pytest.mark.parametrize(("status", "seconds", "billed"), [(500, 4.9, False), (500, 5.0, True), (502, 61.0, True)])
def test_an_error_that_comes_late_may_be_billed(status: int, seconds: float, *, billed: bool) -> None:
    error = refusal(PlatformAnswer(status=status, code=None, message="no"), None, took_seconds=seconds)

    assert isinstance(error, ServerFailed)
    assert (error.may_have_happened, error.may_be_billed) == (True, billed)
