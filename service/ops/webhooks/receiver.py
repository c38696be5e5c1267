"""`POST /webhooks/twelvelabs`: verifies a webhook and passes on which task has ended.

A webhook is a hint: whoever is told looks at the task, and believes what that shows. So one that is lost costs time
only, and one that gets through unduly costs a look.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable

import orjson
import structlog
from aiohttp import web

from service.clock import Clock
from service.ops.webhooks.body import read_body
from service.ops.webhooks.deliveries import Deliveries
from service.ops.webhooks.secrets import WebhookSecrets
from service.ops.webhooks.signature import WebhookRefused, verify
from service.telemetry.events import LogEvent
from service.telemetry.metrics import Metrics
from service.words import in_words

log = structlog.get_logger()

MAX_WEBHOOK_BYTES = 64 * 1024
_WORD = re.compile(r"[\x21-\x7e]{1,128}")
_TASKS = "analyze.task."

Deliver = Callable[[str], Awaitable[bool]]
"""Told the id of a task that has ended. Returns whether the task is of this process; if not, every other process has
been told when it returns. Raises `ConnectionError` when they can't be."""


class WebhookReceiver:
    """One per process. `deliver` is set once there is somebody to tell."""

    def __init__(self, secrets: WebhookSecrets, metrics: Metrics, clock: Clock) -> None:
        self._secrets = secrets
        self._metrics = metrics
        self._clock = clock
        self._deliveries = Deliveries()
        self.deliver: Deliver | None = None

    async def handle(self, request: web.Request) -> web.Response:
        """Answer one webhook. 2xx: the platform need not send it again."""
        try:
            outcome = await self._take(request)
        except WebhookRefused as refused:
            self._metrics.webhooks.labels(refused.outcome).inc()
            if refused.status != 404:
                log.warning(LogEvent.WEBHOOK_REFUSED, outcome=refused.outcome, reason=str(refused))
            return _json({"error": refused.outcome, "message": str(refused)}, refused.status)
        self._metrics.webhooks.labels(outcome).inc()
        return _json({"status": outcome}, 200)

    async def _take(self, request: web.Request) -> str:
        secrets = self._secrets.current()
        if not secrets:
            raise WebhookRefused(404, "not_configured", "no webhooks are taken here: no secret is set")
        body = await read_body(request, MAX_WEBHOOK_BYTES)
        signature = verify(request.headers.get("TL-Signature"), body, secrets, self._clock.time())
        digest = f"{signature.time}.{signature.digests[0]}"
        event_id, kind, task_id = _event(body)
        now = self._clock.monotonic()
        verdict = self._deliveries.judge(event_id, digest, now)
        if verdict == "replayed":
            raise WebhookRefused(409, "replayed", "this very webhook has been taken before")
        outcome = "duplicate" if verdict == "duplicate" else "ignored"
        if verdict == "new" and kind.startswith(_TASKS) and task_id is not None:
            outcome = await self._pass_on(task_id)
        self._deliveries.taken(event_id, digest, now)
        return outcome

    async def _pass_on(self, task_id: str) -> str:
        try:
            if self.deliver is None:
                raise WebhookRefused(503, "unavailable", "this process is starting or ending; send it again later")
            return "accepted" if await self.deliver(task_id) else "passed_on"
        except ConnectionError as error:
            raise WebhookRefused(
                503, "unavailable", f"the owner of the task can't be told: {in_words(error)}"
            ) from None


def _event(body: bytes) -> tuple[str, str, str | None]:
    """Its id, its type, and the id of its task. Raises `WebhookRefused` for what is signed and can't be read."""
    try:
        event = orjson.loads(body)
    except orjson.JSONDecodeError:
        event = None
    if isinstance(event, dict):
        event_id, kind, data = event.get("id"), event.get("type"), event.get("data")
        task_id = data.get("id") if isinstance(data, dict) else None
        if isinstance(event_id, str) and _WORD.fullmatch(event_id) and isinstance(kind, str):
            known = isinstance(task_id, str) and _WORD.fullmatch(task_id) is not None
            return event_id, kind, task_id if known else None
    raise WebhookRefused(400, "malformed", "the body is no event of the platform")


def _json(body: object, status: int) -> web.Response:
    return web.Response(body=orjson.dumps(body), status=status, content_type="application/json")
