"""The emulator's own endpoints, outside `/v1.3` and without a key: activity, faults, paces, limits, webhooks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any

from aiohttp import web

from service.emulator.http.answers import json_response
from service.emulator.http.bodies import json_body
from service.emulator.http.calls import PLATFORM
from service.emulator.limits.limits import PLANS
from service.emulator.limits.rate_limits import category_of
from service.emulator.refusals import Refusal, invalid

_BODY_BYTES = 1024 * 1024

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def _answering(handler: Handler) -> Handler:
    """Wrap a handler: a `Refusal`, or a `ValueError` whose message is for the caller, becomes a 4xx."""

    async def answer(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except ValueError as error:
            return json_response({"code": "parameter_invalid", "message": str(error)}, 400)
        except Refusal as refusal:
            return json_response({"code": refusal.code, "message": refusal.message}, refusal.status)

    return answer


async def _body(request: web.Request) -> Any:
    """The decoded body; `{}` without one."""
    if not request.body_exists:
        return {}
    given, _ = await json_body(request, request.app[PLATFORM].options.silence_seconds, _BODY_BYTES)
    return given


async def _object(request: web.Request) -> dict[str, Any]:
    given = await _body(request)
    if not isinstance(given, dict):
        raise invalid("The request body must be a JSON object.")
    return given


async def _stats(request: web.Request) -> web.Response:
    stats = request.app[PLATFORM].stats()
    if request.query.get("posts") == "0":
        del stats["posts"]
    return json_response(stats)


async def _faults(request: web.Request) -> web.Response:
    return json_response({"rules": [rule.as_json() for rule in request.app[PLATFORM].faults.rules]})


async def _add_faults(request: web.Request) -> web.Response:
    """Takes one rule, a list of rules, or `{"rules": [...]}`; all of them or none."""
    rules = request.app[PLATFORM].faults
    given = await _body(request)
    listed = given.get("rules", given) if isinstance(given, dict) else given
    before = len(rules.rules)
    try:
        added = [rules.add(item) for item in (listed if isinstance(listed, list) else [listed])]
    except ValueError:
        del rules.rules[before:]
        raise
    return json_response({"rules": [rule.as_json() for rule in added]}, 201)


async def _clear_faults(request: web.Request) -> web.Response:
    """Removes the rule with the `id` of the query, or all without one."""
    return json_response({"removed": request.app[PLATFORM].faults.clear(_id_of(request))})


async def _settings(request: web.Request) -> web.Response:
    return json_response(asdict(request.app[PLATFORM].pace))


async def _change_settings(request: web.Request) -> web.Response:
    platform = request.app[PLATFORM]
    platform.pace = platform.pace.changed(await _object(request))
    return json_response(asdict(platform.pace))


async def _limits(request: web.Request) -> web.Response:
    platform = request.app[PLATFORM]
    return json_response(platform.limits.as_json(platform.now()))


async def _change_limits(request: web.Request) -> web.Response:
    """Members of `Limits`, or `plan` with its name; `used_up` names the categories whose day is over."""
    platform, given = request.app[PLATFORM], await _object(request)
    used_up = given.pop("used_up", None)
    plan = given.pop("plan", None)
    if plan is not None and plan not in PLANS:
        raise invalid(f"The plan parameter must be one of {', '.join(PLANS)}.")
    categories = [category_of(name) for name in used_up] if isinstance(used_up, list) else []
    if used_up is not None and not isinstance(used_up, list):
        raise invalid("The used_up parameter must be an array of upload and analyze.")
    if plan is not None or given:
        platform.limits.change((PLANS[plan] if plan is not None else platform.limits.limits).changed(given))
    for category in categories:
        platform.limits.use_up(category, platform.now())
    return json_response(platform.limits.as_json(platform.now()))


async def _refill(request: web.Request) -> web.Response:
    """Nothing has been asked for so far; the limits stay."""
    platform = request.app[PLATFORM]
    platform.limits.refill()
    return json_response(platform.limits.as_json(platform.now()))


async def _finish(request: web.Request) -> web.Response:
    """`{"task_ids": [...]}`, or nothing for all tasks."""
    task_ids = (await _object(request)).get("task_ids")
    if task_ids is not None and not (isinstance(task_ids, list) and all(isinstance(item, str) for item in task_ids)):
        raise invalid("The task_ids parameter must be an array of strings.")
    return json_response({"finished": request.app[PLATFORM].tasks.finish(task_ids)})


async def _webhooks(request: web.Request) -> web.Response:
    return json_response({"webhooks": [one.as_json() for one in request.app[PLATFORM].webhooks.addresses()]})


async def _add_webhook(request: web.Request) -> web.Response:
    """`{"url", "secret"}`, and the faults `late_seconds`, `lost`, `twice` and `forged`."""
    return json_response(request.app[PLATFORM].add_webhook(await _object(request)).as_json(), 201)


async def _remove_webhooks(request: web.Request) -> web.Response:
    """Removes the one with the `id` of the query, or all without one."""
    return json_response({"removed": request.app[PLATFORM].webhooks.remove(_id_of(request))})


def _id_of(request: web.Request) -> int | None:
    given = request.query.get("id")
    if given and not (given.isascii() and given.isdigit() and len(given) < 10):
        raise invalid("The id parameter must be a number.")
    return int(given) if given else None


def admin_routes() -> list[web.RouteDef]:
    """All of them, with their whole paths."""
    return [
        web.get("/_emulator/stats", _answering(_stats)),
        web.get("/_emulator/faults", _answering(_faults)),
        web.post("/_emulator/faults", _answering(_add_faults)),
        web.delete("/_emulator/faults", _answering(_clear_faults)),
        web.get("/_emulator/settings", _answering(_settings)),
        web.post("/_emulator/settings", _answering(_change_settings)),
        web.get("/_emulator/limits", _answering(_limits)),
        web.post("/_emulator/limits", _answering(_change_limits)),
        web.delete("/_emulator/limits", _answering(_refill)),
        web.get("/_emulator/webhooks", _answering(_webhooks)),
        web.post("/_emulator/webhooks", _answering(_add_webhook)),
        web.delete("/_emulator/webhooks", _answering(_remove_webhooks)),
        web.post("/_emulator/tasks/finish", _answering(_finish)),
    ]
