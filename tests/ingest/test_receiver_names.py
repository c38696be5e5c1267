"""What is answered at `/notifications/{name}` before anything of a notification is read, without a broker."""

from __future__ import annotations

import orjson
import pytest
from aiohttp.test_utils import make_mocked_request
from prometheus_client import CollectorRegistry

from service.clock import SystemClock
from service.ingest.receiver import NotificationReceiver
from service.ops.webhooks.secrets import SigningSecrets
from service.telemetry.ingest_metrics import IngestMetrics

pytestmark = pytest.mark.unit

SECRET = "notify-secret-of-tests"


async def _answer(name: str, secret: str | None) -> tuple[int, dict[str, str]]:
    secrets = SigningSecrets(None, lambda: secret)
    receiver = NotificationReceiver(secrets, lambda: None, IngestMetrics(CollectorRegistry()), SystemClock())
    answer = await receiver.handle(make_mocked_request("POST", "/notifications/x", match_info={"name": name}))
    assert isinstance(answer.body, bytes)
    return answer.status, orjson.loads(answer.body)


@pytest.mark.parametrize("name", ["a b", "", "-a", "a" * 65, "ä", "a/b"])
async def test_a_name_that_can_not_be_says_how_one_may_look(name: str) -> None:
    status, told = await _answer(name, SECRET)
    assert (status, told["error"]) == (404, "not_found")
    assert "1 to 64 of the characters A-Z a-z 0-9 . _ -" in told["message"]


async def test_without_a_secret_it_is_told_that_none_is_set() -> None:
    status, told = await _answer("minio", None)
    assert (status, told["error"]) == (404, "not_configured")
    assert "no secret is set" in told["message"]
