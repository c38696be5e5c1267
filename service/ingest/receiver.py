"""`POST /notifications/{name}`: notifications over HTTP, where there is no topic.

Answered with 2xx once the requests are committed; anything else is to be sent again by the sender. Taken is what is
signed (`Reelwire-Signature: t=<seconds>,v1=<hex>`, HMAC-SHA256 over `t`, a dot and the body), or comes with the secret
itself (`Authorization: Bearer`), which is all that MinIO and Event Grid can send. The body is a stranger's until then.
"""

from __future__ import annotations

import asyncio
import hmac
import re
from collections.abc import Callable

import orjson
import structlog
from aiohttp import web

from service.clock import Clock
from service.errors import PartitionError
from service.ingest.judging import Incoming, Judgement
from service.ingest.log.active import Active
from service.ingest.notifications.arrival import Unreadable
from service.ingest.notifications.reading import MAX_NOTIFICATION_BYTES, read_notification
from service.ops.webhooks.body import read_body
from service.ops.webhooks.secrets import SigningSecrets
from service.ops.webhooks.signature import WebhookRefused, verify
from service.telemetry.events import LogEvent
from service.telemetry.ingest_metrics import IngestMetrics

log = structlog.get_logger()

SIGNATURE = "Reelwire-Signature"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_NAME_WORDS = "1 to 64 of the characters A-Z a-z 0-9 . _ - and begin with a letter or a digit"
_CODE = re.compile(r"[A-Za-z0-9-]{1,128}")
_ORIGIN = re.compile(r"[A-Za-z0-9.-]{1,253}")
_BODY_BYTES = MAX_NOTIFICATION_BYTES - 64 * 1024
_VALIDATION = "Microsoft.EventGrid.SubscriptionValidationEvent"
_HEADERS = ("ce-type", "ce-time", "ce-specversion")
_COMMIT_SECONDS = 25.0


class NotificationReceiver:
    """One per process. `active` gives the part that sends; None while another process works."""

    def __init__(
        self, secrets: SigningSecrets, active: Callable[[], Active | None], metrics: IngestMetrics, clock: Clock
    ) -> None:
        self._secrets = secrets
        self._active = active
        self._metrics = metrics
        self._clock = clock

    def routes(self) -> list[web.RouteDef]:
        """What the HTTP server of the process serves for us."""
        path = "/notifications/{name}"
        return [web.post(path, self.handle), web.options(path, self.handshake)]

    async def handle(self, request: web.Request) -> web.Response:
        """Take one notification."""
        try:
            return await self._taken(request)
        except WebhookRefused as refused:
            self._metrics.webhooks.labels(refused.outcome).inc()
            if refused.status != 404:
                log.warning(LogEvent.NOTIFICATION_REFUSED, outcome=refused.outcome, reason=str(refused))
            headers = {"Retry-After": "2"} if refused.status == 503 else None
            return _json({"error": refused.outcome, "message": str(refused)}, refused.status, headers)

    async def handshake(self, request: web.Request) -> web.Response:
        """Event Grid asks before it sends CloudEvents (OPTIONS, `WebHook-Request-Origin`); deliveries are verified."""
        origin = request.headers.get("WebHook-Request-Origin", "")
        if not self._secrets.current() or not _ORIGIN.fullmatch(origin):
            return _json({"error": "not_configured", "message": "no notifications are taken here"}, 404)
        self._metrics.webhooks.labels("handshake").inc()
        return web.Response(status=200, headers={"WebHook-Allowed-Origin": origin, "WebHook-Allowed-Rate": "*"})

    async def _taken(self, request: web.Request) -> web.Response:
        secrets = self._secrets.current()
        if not secrets:
            raise WebhookRefused(404, "not_configured", "no notifications are taken here: no secret is set")
        if not _NAME.fullmatch(request.match_info["name"]):
            raise WebhookRefused(404, "not_found", f"the name behind /notifications/ must have {_NAME_WORDS}")
        body = await read_body(request, _BODY_BYTES)
        code = _validation_code(request, body)
        if code is not None:  # what was sent is given back: nothing is believed
            self._metrics.webhooks.labels("handshake").inc()
            return _json({"validationResponse": code}, 200)
        self._verify(request, body, secrets)
        if request.headers.get("x-amz-sns-message-type") == "SubscriptionConfirmation":
            raise WebhookRefused(400, "not_supported", "subscribe SNS to a queue or a function; it can't sign for us")
        headers = tuple(
            (name.replace("ce-", "ce_", 1), value.encode()) for name in _HEADERS if (value := request.headers.get(name))
        )
        notices = read_notification(body, headers)
        unreadable = [notice for notice in notices if isinstance(notice, Unreadable)]
        if unreadable and len(unreadable) == len(notices):
            raise WebhookRefused(400, "malformed", unreadable[0].message)
        judged = await self._commit(Incoming(notices))
        if judged.refused:
            raise WebhookRefused(422, "rejected", f"a part was not taken: {judged.refused[0]}")
        self._metrics.webhooks.labels("taken").inc()
        return _json({"status": "taken", "requests": list(judged.sent), "outcomes": dict(judged.outcomes)}, 200)

    async def _commit(self, incoming: Incoming) -> Judgement:
        active = self._active()
        if active is None or active.dead:
            raise WebhookRefused(503, "standby", "another process takes notifications, or none yet; send it again")
        # The commit goes on when the sender has hung up: it must not be cancelled.
        work = asyncio.ensure_future(active.take([incoming]))
        try:
            async with asyncio.timeout(_COMMIT_SECONDS):
                return await asyncio.shield(work)
        except TimeoutError:
            work.add_done_callback(_seen)
            raise WebhookRefused(503, "unavailable", "Kafka has not confirmed the requests in time") from None
        except PartitionError as error:
            raise WebhookRefused(503, "unavailable", f"the requests can't be written now: {error}") from None
        except asyncio.CancelledError:
            work.add_done_callback(_seen)
            raise

    def _verify(self, request: web.Request, body: bytes, secrets: tuple[str, ...]) -> None:
        given = request.headers.get("Authorization")
        if given is not None and SIGNATURE not in request.headers:
            word = given.removeprefix("Bearer ").encode("utf-8", "surrogateescape")
            known = False
            for secret in secrets:
                known = hmac.compare_digest(word, secret.encode()) or known
            if not known:
                raise WebhookRefused(401, "forged", "the secret in the header Authorization is not known here")
            return
        signature = request.headers.get(SIGNATURE)
        if signature is None:
            raise WebhookRefused(401, "unsigned", f"there is neither a header {SIGNATURE} nor one Authorization")
        verify(signature, body, secrets, self._clock.time(), header_name=SIGNATURE)


def _seen(work: asyncio.Future[Judgement]) -> None:
    if not work.cancelled():
        work.exception()


def _validation_code(request: web.Request, body: bytes) -> str | None:
    """The code of Event Grid's handshake for its own schema; None for anything else."""
    if request.headers.get("aeg-event-type") != "SubscriptionValidation":
        return None
    try:
        events = orjson.loads(body)
        event = events[0] if isinstance(events, list) else events
        code = event["data"]["validationCode"] if event["eventType"] == _VALIDATION else None
    except (ValueError, TypeError, KeyError, IndexError):
        code = None
    if not isinstance(code, str) or not _CODE.fullmatch(code):
        raise WebhookRefused(400, "malformed", "the body is no validation of Event Grid")
    return code


def _json(body: object, status: int, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(body=orjson.dumps(body), status=status, content_type="application/json", headers=headers)
