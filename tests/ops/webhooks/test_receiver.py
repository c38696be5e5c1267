"""Webhooks over real HTTP: who is told of what, and what everybody else is answered."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest

from service.ops.health import Health
from service.ops.server import OpsServer
from service.ops.webhooks.receiver import MAX_WEBHOOK_BYTES, WebhookReceiver
from service.ops.webhooks.secrets import WebhookSecrets
from service.ops.webhooks.signature import sign
from service.settings import HttpSettings, load_settings
from service.telemetry.metrics import Metrics
from tests.support.clock import HandClock

pytestmark = pytest.mark.integration

SECRET = "whsec_of_a_test"


def event(event_id: str = "whe_1", task_id: str = "task-1", kind: str = "analyze.task.ready", **more: Any) -> bytes:
    return orjson.dumps({"id": event_id, "type": kind, "data": {"id": task_id, "custom_id": None, **more}})


class Door:
    """A receiver behind a server, whoever is told, and the platform in front of it."""

    def __init__(self, receiver: WebhookReceiver, metrics: Metrics, clock: HandClock) -> None:
        self.receiver = receiver
        self.metrics = metrics
        self.clock = clock
        self.told: list[str] = []
        self.own = True
        self.down = False
        self.session: aiohttp.ClientSession
        receiver.deliver = self._deliver

    async def _deliver(self, task_id: str) -> bool:
        if self.down:
            raise ConnectionError("no broker")
        self.told.append(task_id)
        return self.own

    async def post(self, body: bytes, *, secret: str = SECRET, at: float | None = None, header: str = "") -> Any:
        time = str(int(self.clock.time() if at is None else at))
        headers = {"TL-Signature": header or f"t={time},v1={sign(secret, time, body)}"}
        async with self.session.post("/webhooks/twelvelabs", data=body, headers=headers) as response:
            answer = await response.json()
            return response.status, answer.get("status") or answer.get("error")

    def counted(self, outcome: str) -> float:
        return self.metrics.registry.get_sample_value("reelwire_webhooks_total", {"outcome": outcome}) or 0


async def opened(**webhooks: Any) -> AsyncIterator[Door]:
    metrics, clock = Metrics(), HandClock(epoch=1_790_000_000)
    receiver = WebhookReceiver(WebhookSecrets(load_settings(webhooks=webhooks)), metrics, clock)
    door = Door(receiver, metrics, clock)
    async with (
        OpsServer(HttpSettings(port=0), Health(), metrics, receiver) as server,
        aiohttp.ClientSession(f"http://127.0.0.1:{server.port}") as door.session,
    ):
        yield door


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    async for one in opened(secret=SECRET):
        yield one


async def test_the_owner_of_a_task_is_told_once(door: Door) -> None:
    assert await door.post(event()) == (200, "accepted")
    door.clock.now += 5
    assert await door.post(event()) == (200, "duplicate")
    assert door.told == ["task-1"]
    assert (door.counted("accepted"), door.counted("duplicate")) == (1, 1)


@pytest.mark.parametrize("kind", ["analyze.task.failed", "analyze.task.canceled", "analyze.task.of_tomorrow"])
async def test_every_event_of_a_task_is_passed_on(door: Door, kind: str) -> None:
    door.own = False
    assert await door.post(event(kind=kind)) == (200, "passed_on")
    assert door.told == ["task-1"]


async def test_events_of_other_things_are_acknowledged_and_ignored(door: Door) -> None:
    assert await door.post(event(kind="index.task.ready")) == (200, "ignored")
    assert door.told == []


async def test_forged_stale_and_replayed_webhooks_tell_nobody(door: Door) -> None:
    assert await door.post(event(), secret="guess") == (401, "forged")
    assert await door.post(event(), at=door.clock.time() - 400) == (403, "stale")
    assert await door.post(event(), header="t=1") == (400, "malformed")
    assert door.told == []
    assert await door.post(event()) == (200, "accepted")
    assert await door.post(event()) == (409, "replayed")
    assert door.told == ["task-1"]
    assert [door.counted(name) for name in ("forged", "stale", "malformed", "replayed")] == [1, 1, 1, 1]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"id":7,"type":"x"}', b'{"type":"analyze.task.ready"}', b"\xff"])
async def test_a_signed_body_that_is_no_event_is_malformed(door: Door, body: bytes) -> None:
    assert await door.post(body) == (400, "malformed")


async def test_a_task_without_an_id_that_can_be_one_is_ignored(door: Door) -> None:
    assert await door.post(event(task_id="a b")) == (200, "ignored")
    assert await door.post(event("whe_2", task_id="x" * 500)) == (200, "ignored")
    assert door.told == []


async def test_a_body_without_end_is_refused_before_it_is_checked(door: Door) -> None:
    assert await door.post(b"x" * (MAX_WEBHOOK_BYTES + 1)) == (413, "too_large")
    assert await door.post(event(more="x" * 50_000)) == (200, "accepted")


async def test_what_can_not_be_passed_on_is_sent_again_by_the_platform(door: Door) -> None:
    door.down = True
    assert await door.post(event()) == (503, "unavailable")
    door.down = False
    assert await door.post(event()) == (200, "accepted")
    door.receiver.deliver = None
    assert await door.post(event("whe_2")) == (503, "unavailable")


async def test_without_a_secret_there_is_no_such_place() -> None:
    async for door in opened():
        assert await door.post(event()) == (404, "not_configured")


async def test_a_secret_is_replaced_while_the_process_runs(tmp_path: Path) -> None:
    file = tmp_path / "secrets"
    file.write_text("first-secret\n")
    async for door in opened(secret_file=file):
        assert await door.post(event("whe_1"), secret="second-secret") == (401, "forged")
        file.write_text("second-secret\nfirst-secret\n")
        assert await door.post(event("whe_2"), secret="second-secret") == (200, "accepted")
        assert await door.post(event("whe_3"), secret="first-secret") == (200, "accepted")
        file.write_text("second-secret\n")
        assert await door.post(event("whe_4"), secret="first-secret") == (401, "forged")
        file.write_text("\n")  # damaged while it is replaced: the last ones stay
        os.utime(file, (1, 1))
        assert await door.post(event("whe_5"), secret="second-secret") == (200, "accepted")


async def test_several_secrets_of_the_setting_are_valid_at_once() -> None:
    async for door in opened(secret="old-secret new-secret"):
        assert await door.post(event("whe_1"), secret="old-secret") == (200, "accepted")
        assert await door.post(event("whe_2"), secret="new-secret") == (200, "accepted")
