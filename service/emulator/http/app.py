"""The emulator as an aiohttp application: the platform under `/v1.3`, its own endpoints under `/_emulator`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

from aiohttp import web

from service.clock import Clock
from service.emulator.behaviours import KnownFrom, behaves
from service.emulator.http.admin_routes import admin_routes
from service.emulator.http.analyze_routes import analyze_routes
from service.emulator.http.answers import json_response, refusal_response
from service.emulator.http.asset_routes import asset_routes
from service.emulator.http.batches.batch_routes import batch_routes
from service.emulator.http.calls import PLATFORM, mark_response
from service.emulator.http.connections import Connections
from service.emulator.http.task_routes import task_routes
from service.emulator.http.uploads.session_routes import upload_routes
from service.emulator.http.uploads.storage_routes import storage_routes
from service.emulator.model.platform import Platform
from service.emulator.model.restoring import restore
from service.emulator.options import EmulatorOptions
from service.emulator.refusals import Refusal

PREFIX = "/v1.3"
_LONGEST_SHOWN = 200


def create_app(options: EmulatorOptions, clock: Clock | None = None, *, connections: Connections) -> web.Application:
    """The application; it opens its files when it starts up and removes its temporary ones in its cleanup."""
    # Bodies are read in pieces and bounded by those who read them, so aiohttp's own limit is off.
    app = web.Application(client_max_size=0, middlewares=[connections.middleware(), _errors])
    platform = Platform(options, clock)
    app[PLATFORM] = platform
    app.cleanup_ctx.append(_lifetime)
    app.on_response_prepare.append(mark_response)
    for route in (*asset_routes(), *upload_routes(), *batch_routes(), *task_routes(), *analyze_routes()):
        app.router.add_route(route.method, PREFIX + route.path, route.handler)
    app.router.add_routes(admin_routes())
    app.router.add_routes(storage_routes())
    return app


async def _lifetime(app: web.Application) -> AsyncIterator[None]:
    platform = app[PLATFORM]
    platform.open()
    restore(platform)
    yield
    await platform.close()


@behaves(
    "errors.no_route",
    "A path or method that is not offered is 404 or 405 with `resource_not_exist`.",
    KnownFrom.INFERRED,
    test="http/test_malformed.py::test_a_malformed_request_is_refused",
    item=1,
)
@web.middleware
async def _errors(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Gives every error the platform's shape, also where no route is."""
    try:
        return await handler(request)
    except web.HTTPNotFound:
        path = request.path.removeprefix(PREFIX)
        message = f"The emulator does not offer {request.method} {path[:_LONGEST_SHOWN]}."
        return refusal_response("", Refusal(404, "resource_not_exist", message), flat=True)
    except web.HTTPException as error:
        message = f"{request.method} {request.path[:_LONGEST_SHOWN]}: {error.reason}."
        code = "resource_not_exist" if error.status == 405 else "parameter_invalid"
        return json_response({"code": code, "message": message}, error.status)
