"""The emulator's own endpoints, outside `/v1.3` and without a key: what it did, and what shall go wrong."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import orjson
from aiohttp import web

from service.emulator.model.platform import PLATFORM
from service.emulator.refusals import Refusal, json_response


def _wrong(message: str) -> web.Response:
    return json_response({"code": "parameter_invalid", "message": message}, 400)


async def _body(request: web.Request) -> Any:
    data = await request.read()
    return orjson.loads(data) if data else {}


async def _stats(request: web.Request) -> web.Response:
    stats = request.app[PLATFORM].activity.as_json()
    if request.query.get("posts") == "0":
        del stats["posts"]
    return json_response(stats)


async def _faults(request: web.Request) -> web.Response:
    return json_response({"rules": [rule.as_json() for rule in request.app[PLATFORM].faults.rules]})


async def _add_faults(request: web.Request) -> web.Response:
    """Takes one rule, a list of rules, or `{"rules": [...]}`."""
    rules = request.app[PLATFORM].faults
    before = len(rules.rules)
    try:
        given = await _body(request)
        listed = given.get("rules", given) if isinstance(given, dict) else given
        added = [rules.add(item) for item in (listed if isinstance(listed, list) else [listed])]
    except (ValueError, TypeError, AttributeError) as error:
        del rules.rules[before:]
        return _wrong(str(error))
    return json_response({"rules": [rule.as_json() for rule in added]}, 201)


async def _clear_faults(request: web.Request) -> web.Response:
    number = request.query.get("id", "")
    return json_response({"removed": request.app[PLATFORM].faults.clear(int(number) if number.isdigit() else None)})


async def _settings(request: web.Request) -> web.Response:
    return json_response(asdict(request.app[PLATFORM].pace))


async def _change_settings(request: web.Request) -> web.Response:
    platform = request.app[PLATFORM]
    try:
        platform.pace = platform.pace.changed(await _body(request))
    except (ValueError, TypeError, AttributeError) as error:
        return _wrong(str(error))
    return json_response(asdict(platform.pace))


async def _finish(request: web.Request) -> web.Response:
    """`{"task_ids": [...]}`, or nothing for all tasks."""
    try:
        given = await _body(request)
        return json_response({"finished": request.app[PLATFORM].finish_tasks(given.get("task_ids"))})
    except (ValueError, TypeError, AttributeError) as error:
        return _wrong(str(error))
    except Refusal as refusal:
        return json_response({"code": refusal.code, "message": refusal.message}, refusal.status)


def admin_routes() -> list[web.RouteDef]:
    return [
        web.get("/_emulator/stats", _stats),
        web.get("/_emulator/faults", _faults),
        web.post("/_emulator/faults", _add_faults),
        web.delete("/_emulator/faults", _clear_faults),
        web.get("/_emulator/settings", _settings),
        web.post("/_emulator/settings", _change_settings),
        web.post("/_emulator/tasks/finish", _finish),
    ]
