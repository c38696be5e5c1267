"""Probes: each tries one behaviour on a platform, and says what was different, or nothing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from service.emulator.verification.wire import Answer, Wire

Check = Callable[[Wire], Awaitable[str | None]]
_NOBODY = "0" * 24
_URL = {"type": "url", "url": "https://media.example.com/a.mp4"}


@dataclass(frozen=True, slots=True)
class Probe:
    """`billed`: it asks for an analysis of four seconds of video."""

    check: Check
    billed: bool


PROBES: dict[str, Probe] = {}
"""By the name of the behaviour."""


def probe(name: str, *, billed: bool = False) -> Callable[[Check], Check]:
    """Register the function below as the probe of a behaviour."""

    def register(check: Check) -> Check:
        PROBES[name] = Probe(check, billed)
        return check

    return register


def unless(right: bool, answer: Answer) -> str | None:
    """Nothing when it is right, else what came."""
    return None if right else answer.brief


@probe("answers.version")
async def version(wire: Wire) -> str | None:
    """The header on any answer."""
    answer = await wire.call("GET", "/assets?page_limit=1")
    return unless(answer.status == 200 and bool(answer.headers.get("X-Api-Version")), answer)


@probe("answers.key")
async def key(wire: Wire) -> str | None:
    """A key that is none."""
    answer = await wire.call("GET", "/assets", headers={"x-api-key": "reelwire-verify-wrong"})
    return unless(answer.status == 401 and answer.code in {"api_key_invalid", "unauthorized"}, answer)


@probe("pages.beyond_the_end")
async def beyond_the_end(wire: Wire) -> str | None:
    """A page that nobody has."""
    for path in ("/assets", "/analyze/tasks"):
        answer = await wire.call("GET", f"{path}?page=100000")
        if answer.status != 200 or answer.json.get("data") != []:
            return f"{path}: {answer.brief}"
    return None


@probe("pages.limits")
async def page_limit(wire: Wire) -> str | None:
    """One row more than there may be."""
    answer = await wire.call("GET", "/assets?page_limit=51")
    return unless(answer.status == 400, answer)


@probe("limits.headers")
async def limit_headers(wire: Wire) -> str | None:
    """On a POST that is refused."""
    answer = await wire.call("POST", "/analyze", {"model_name": "pegasus1.5", "video": _URL})
    names = {name.lower() for name in answer.headers}
    missing = [name for name in ("limit", "remaining", "reset") if f"x-ratelimit-{name}" not in names]
    return None if not missing else f"no X-Ratelimit-{', -'.join(missing)}"


@probe("errors.shapes")
async def error_shapes(wire: Wire) -> str | None:
    """The same mistake in both shapes."""
    nested = await wire.call("POST", "/analyze/tasks", {"model_name": "pegasus1.5", "video": _URL})
    flat = await wire.call("POST", "/analyze", {"model_name": "pegasus1.5", "video": _URL, "stream": False})
    if not isinstance(nested.json, dict) or "error" not in nested.json:
        return f"tasks: {nested.brief}"
    return unless(isinstance(flat.json, dict) and "code" in flat.json, flat)


@probe("analysis.rules")
async def rules(wire: Wire) -> str | None:
    """A member out of its range, and one that is missing."""
    body = {"model_name": "pegasus1.5", "video": _URL, "stream": False}
    wrong = await wire.call("POST", "/analyze", body | {"prompt": "x", "temperature": 2})
    if wrong.status != 400 or wrong.code != "parameter_invalid":
        return wrong.brief
    missing = await wire.call("POST", "/analyze", body)
    return unless(missing.status == 400 and missing.code == "parameter_not_provided", missing)


@probe("analysis.unknown_members")
async def unknown_members(wire: Wire) -> str | None:
    """Beside a mistake that is surely refused, so that nothing is billed."""
    body = {"model_name": "pegasus1.5", "video": _URL, "stream": False, "reelwire_verify": 1}
    answer = await wire.call("POST", "/analyze", body)
    return unless(answer.code != "parameter_unknown", answer)


@probe("analysis.schemas")
async def schemas(wire: Wire) -> str | None:
    """A keyword that is not supported."""
    schema = {"type": "object", "properties": {"a": {"type": "string", "maxLength": 3}}, "required": ["a"]}
    form = {"type": "json_schema", "json_schema": schema}
    answer = await wire.call("POST", "/analyze", await wire.question(stream=False, response_format=form))
    return unless(answer.status == 422, answer)


@probe("analysis.images")
async def images(wire: Wire) -> str | None:
    """For a model that takes none."""
    image = [{"name": "a", "url": "https://media.example.com/a.png"}]
    body = {"model_name": "pegasus1.5", "image": image, "prompt": "x", "stream": False}
    answer = await wire.call("POST", "/analyze", body)
    return unless(answer.status == 400, answer)


@probe("analysis.segments")
async def segments(wire: Wire) -> str | None:
    """A field with a reserved name."""
    field = {"name": "start_time", "type": "string", "description": "x"}
    form = {
        "type": "segment_definitions",
        "segment_definitions": [{"id": "a", "description": "x", "fields": [field]}],
    }
    question = await wire.question(analysis_mode="time_based_metadata", response_format=form, max_tokens=2_048)
    del question["prompt"]
    answer = await wire.call("POST", "/analyze/tasks", question)
    return unless(answer.status == 400, answer)


@probe("media.window")
async def window(wire: Wire) -> str | None:
    """Far beyond the end of the sample."""
    question = await wire.question(stream=False, start_time=80_000, end_time=80_010)
    answer = await wire.call("POST", "/analyze", question)
    return unless(answer.status == 400, answer)


@probe("tasks.detail")
async def unknown_task(wire: Wire) -> str | None:
    """A task that nobody has."""
    answer = await wire.call("GET", f"/analyze/tasks/{_NOBODY}")
    return unless(answer.status == 404, answer)


@probe("batches.all_or_nothing")
async def batch(wire: Wire) -> str | None:
    """With an asset that nobody has."""
    item = {"video": {"type": "asset_id", "asset_id": _NOBODY}, "prompt": {"input_text": "What happens?"}}
    body = {"model_name": "pegasus1.5", "analysis_mode": "general", "requests": [item]}
    answer = await wire.call("POST", "/analyze/batches", body)
    return unless(answer.status == 404, answer)


@probe("tasks.cancel")
async def cancel(wire: Wire) -> str | None:
    """Of a task that nobody has; 403 where the account may not cancel."""
    answer = await wire.call("POST", f"/analyze/tasks/{_NOBODY}/cancel")
    return unless(answer.status in {403, 404}, answer)
