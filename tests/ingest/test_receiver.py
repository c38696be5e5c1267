"""Notifications over HTTP: what is signed becomes requests before it is answered, and nothing else does."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

import aiohttp
import orjson
import pytest

from service.ops.webhooks.signature import sign
from tests.ingest.test_notifications import CLOUD_EVENT, EVENT_GRID, MINIO
from tests.ingest.world import World, record_of, s3_event

pytestmark = pytest.mark.integration

SECRET = "notify-secret-of-tests"


@pytest.fixture(scope="module")
def name() -> str:
    return "receiver"


@pytest.fixture
async def session(world: World, name: str) -> AsyncIterator[aiohttp.ClientSession]:
    if not world.programs:
        rules = world.write_rules('name = "a"\nprompt = "What?"', topics=False)
        program = world.program(name, "--rules", str(rules))
        await program.start()
        await world.ready(program)
    async with aiohttp.ClientSession(f"{world.url(name)}/") as made:
        yield made


def _signed(body: bytes, secret: str = SECRET) -> dict[str, str]:
    now = str(int(time.time()))
    return {"Reelwire-Signature": f"t={now},v1={sign(secret, now, body)}"}


async def test_a_signed_notification_is_a_request_when_it_is_answered(
    world: World, session: aiohttp.ClientSession
) -> None:
    body = record_of(s3_event("signed.mp4"))
    async with session.post("notifications/minio", data=body, headers=_signed(body)) as answer:
        told = await answer.json()
        assert (answer.status, told["outcomes"]["sent"]) == (200, 1)

    assert told["requests"] == [
        one["request_id"] for one in await world.requests() if one["video"]["uri"] == "s3://footage/signed.mp4"
    ]
    async with session.post("notifications/minio", data=body, headers=_signed(body)) as answer:
        assert (await answer.json())["outcomes"]["duplicate"] == 1


async def test_minio_and_event_grid_send_the_secret_itself(session: aiohttp.ClientSession) -> None:
    bearer = {"Authorization": f"Bearer {SECRET}"}
    async with session.post("notifications/minio", json=MINIO, headers=bearer) as answer:
        assert answer.status == 200
    for body in ([EVENT_GRID], CLOUD_EVENT):
        async with session.post("notifications/azure", json=body, headers=bearer) as answer:
            assert answer.status == 200, await answer.text()


@pytest.mark.parametrize(
    ("headers", "status", "outcome"),
    [
        ({}, 401, "unsigned"),
        ({"Authorization": "Bearer other"}, 401, "forged"),
        ({"Reelwire-Signature": "t=1,v1=" + "0" * 64}, 401, "forged"),
        ({"Reelwire-Signature": "nonsense"}, 400, "malformed"),
        (_signed(b"another body"), 401, "forged"),
        ({"Reelwire-Signature": f"t=1000,v1={sign(SECRET, '1000', record_of(s3_event('forged.mp4')))}"}, 403, "stale"),
    ],
)
async def test_what_is_not_signed_is_refused(
    world: World, session: aiohttp.ClientSession, headers: dict[str, str], status: int, outcome: str
) -> None:
    async with session.post("notifications/x", data=record_of(s3_event("forged.mp4")), headers=headers) as answer:
        assert (answer.status, (await answer.json())["error"]) == (status, outcome)

    assert not [one for one in await world.requests() if "forged" in one["video"]["uri"]]


async def test_event_grid_asks_first_and_is_answered(session: aiohttp.ClientSession) -> None:
    event = {
        "eventType": "Microsoft.EventGrid.SubscriptionValidationEvent",
        "data": {"validationCode": "512d38b6-c7b8"},
    }
    headers = {"aeg-event-type": "SubscriptionValidation"}
    async with session.post("notifications/azure", json=[event], headers=headers) as answer:
        assert (answer.status, await answer.json()) == (200, {"validationResponse": "512d38b6-c7b8"})
    event["data"]["validationCode"] = "<script>"  # type: ignore[index]
    async with session.post("notifications/azure", json=[event], headers=headers) as answer:
        assert answer.status == 400
    async with session.options(
        "notifications/azure", headers={"WebHook-Request-Origin": "eventgrid.azure.net"}
    ) as answer:
        assert (answer.status, answer.headers["WebHook-Allowed-Origin"]) == (200, "eventgrid.azure.net")


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"not json", 400), (b"x" * (1024 * 1024 - 1000), 413), (record_of({"eventName": 7}), 400)],
    ids=["not json", "too large", "unreadable"],
)
async def test_what_can_not_be_taken_is_told_to_the_sender(
    session: aiohttp.ClientSession, body: bytes, status: int
) -> None:
    async with session.post("notifications/x", data=body, headers=_signed(body)) as answer:
        assert answer.status == status
        told = orjson.loads(await answer.read())
    assert told["message"]


async def test_another_method_and_another_path_are_not_there(session: aiohttp.ClientSession) -> None:
    async with session.get("notifications/x") as answer:
        assert answer.status == 405
    async with session.post("notifications/a b", data=b"{}", headers=_signed(b"{}")) as answer:
        assert answer.status == 404
