"""The emulator as an aiohttp application: the platform under `/v1.3`, its own endpoints under `/_emulator`."""

from __future__ import annotations

from collections.abc import AsyncIterator

from aiohttp import web

from service.clock import Clock
from service.emulator.http.admin_routes import admin_routes
from service.emulator.http.analyze_routes import analyze_routes
from service.emulator.http.asset_routes import asset_routes
from service.emulator.http.calls import mark_response
from service.emulator.http.task_routes import task_routes
from service.emulator.model.platform import PLATFORM, Platform
from service.emulator.model.restoring import restore
from service.emulator.options import EmulatorOptions
from service.emulator.refusals import Refusal, json_response, refusal_response

PREFIX = "/v1.3"
_LATER = ("/assets/multipart-uploads", "/analyze/batches")
_JSON_OVERHEAD_BYTES = 1024 * 1024


def create_app(options: EmulatorOptions, clock: Clock | None = None) -> web.Application:
    """The application; it opens its files when it starts up and removes its temporary ones in its cleanup."""
    app = web.Application(client_max_size=options.base64_limit_bytes + _JSON_OVERHEAD_BYTES, middlewares=[_unrouted])
    platform = Platform(options, clock)
    app[PLATFORM] = platform
    app.cleanup_ctx.append(_lifetime)
    app.on_response_prepare.append(mark_response)
    for route in (*asset_routes(), *task_routes(), *analyze_routes()):
        app.router.add_route(route.method, PREFIX + route.path, route.handler)
    app.router.add_routes(admin_routes())
    return app


async def _lifetime(app: web.Application) -> AsyncIterator[None]:
    platform = app[PLATFORM]
    platform.open()
    restore(platform)
    yield
    await platform.close()


@web.middleware
async def _unrouted(request: web.Request, handler: object) -> web.StreamResponse:
    """Answers in the platform's shape where no route is."""
    if not callable(handler):
        raise web.HTTPInternalServerError
    try:
        response: web.StreamResponse = await handler(request)
    except web.HTTPMethodNotAllowed:
        body = {"code": "resource_not_exist", "message": f"{request.path} does not take {request.method}."}
        return json_response(body, 405)
    except web.HTTPNotFound:
        path = request.path.removeprefix(PREFIX)
        later = " yet" if path.startswith(_LATER) else ""
        message = f"The emulator does not offer {request.method} {path}{later}."
        return refusal_response("", Refusal(404, "resource_not_exist", message), flat=True)
    return response
