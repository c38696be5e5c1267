"""The HTTP server of the process: health, metrics, and the address of the platform's webhooks."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Self

import orjson
from aiohttp import web
from prometheus_client import ProcessCollector
from prometheus_client.exposition import choose_encoder

from service.ops.connections import MAX_BODY_BYTES, Connections, listen, note_served
from service.ops.health import Health, Verdict
from service.ops.webhooks.receiver import WebhookReceiver
from service.settings import HttpSettings
from service.telemetry.events import LogEvent
from service.telemetry.log import get_logger
from service.telemetry.metrics import Metrics
from service.telemetry.redaction import clean_members
from service.unbindable import unbindable
from service.version import VERSION

log = get_logger()

_PORT = "REELWIRE_HTTP__PORT"
_HOST = "REELWIRE_HTTP__HOST"


def _json(body: object, status: int) -> web.Response:
    return web.Response(body=orjson.dumps(body), status=status, content_type="application/json")


def _answer(verdict: Verdict) -> web.Response:
    # A condition's detail may quote a library: what is shown to whoever asks holds no secret.
    return _json(clean_members(verdict.body), 200 if verdict.ok else 503)


class OpsServer:
    """`async with OpsServer(...)`, or `start` and `stop`. `port` is the one that is bound, also with port 0.

    Whoever runs the process runs its `heartbeat` too: the server shows it, and does not beat itself.
    """

    def __init__(
        self,
        settings: HttpSettings,
        health: Health,
        metrics: Metrics,
        webhooks: WebhookReceiver | None = None,
        *,
        routes: Sequence[web.RouteDef] = (),
    ) -> None:
        """`routes` are served beside those of every process."""
        self._routes = routes
        self._webhooks = webhooks
        self._settings = settings
        self._health = health
        self._metrics = metrics
        self._runner: web.AppRunner | None = None
        self._listener: asyncio.Server | None = None
        self.port = settings.port
        metrics.info.labels(version=VERSION).set(1)
        ProcessCollector(registry=metrics.registry)

    def application(self) -> web.Application:
        """The routes; any other method of a path is answered with 405."""
        app = web.Application(client_max_size=MAX_BODY_BYTES, middlewares=[note_served])
        app.add_routes(
            [
                web.get("/health/live", self._live),
                web.get("/health/ready", self._ready),
                web.get("/health/startup", self._startup),
                web.get("/metrics", self._exposition),
                web.post("/webhooks/twelvelabs", self._webhook),
                *self._routes,
            ]
        )
        return app

    async def start(self) -> None:
        """Bind and serve. Raises `SettingsError` that names the setting when the address can't be had."""
        self._runner = web.AppRunner(self.application(), access_log=None, shutdown_timeout=2)
        await self._runner.setup()
        if self._runner.server is None:
            raise RuntimeError("the runner was set up without a server")
        connections = Connections(
            self._runner.server,
            self._metrics,
            max_connections=self._settings.max_connections,
            request_seconds=self._settings.request_timeout_seconds,
        )
        host, port = self._settings.host, self._settings.port
        try:
            self._listener = await listen(connections, host, port)
        except OSError as error:
            await self._runner.cleanup()
            self._runner = None
            raise unbindable(error, host, port, host_setting=_HOST, port_setting=_PORT) from None
        self.port = self._listener.sockets[0].getsockname()[1]
        log.info(LogEvent.HTTP_LISTENING, host=host, port=self.port)

    async def stop(self) -> None:
        """Close the listener. Called last, so that health can be asked for during the drain."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_exception: object) -> None:
        await self.stop()

    async def _live(self, _request: web.Request) -> web.Response:
        return _answer(self._health.live())

    async def _ready(self, _request: web.Request) -> web.Response:
        return _answer(self._health.ready())

    async def _startup(self, _request: web.Request) -> web.Response:
        return _answer(self._health.startup())

    async def _exposition(self, request: web.Request) -> web.Response:
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return web.Response(body=encode(self._metrics.registry), headers={"Content-Type": content_type})

    async def _webhook(self, request: web.Request) -> web.Response:
        if self._webhooks is None:
            return _json({"error": "not_configured", "message": "no webhooks are taken here"}, 404)
        return await self._webhooks.handle(request)
