"""Probes that ask for analyses of four seconds of the sample: each is billed by a real platform."""

from __future__ import annotations

import secrets

import orjson

from service.emulator.verification.probes import probe, unless
from service.emulator.verification.wire import Answer, Wire


def _events(answer: Answer) -> list[str]:
    lines = [orjson.loads(line) for line in answer.raw.split(b"\n") if line.strip()]
    return [str(line.get("event_type")) for line in lines]


@probe("analyze.stream_by_default", billed=True)
async def stream_by_default(wire: Wire) -> str | None:
    """Without the member `stream`."""
    answer = await wire.call("POST", "/analyze", await wire.question())
    return unless(answer.status == 200 and b'"stream_end"' in answer.raw, answer)


@probe("analyze.events", billed=True)
async def events(wire: Wire) -> str | None:
    """The order of a stream."""
    answer = await wire.call("POST", "/analyze", await wire.question(stream=True))
    if answer.status != 200:
        return answer.brief
    found = _events(answer)
    right = found[0] == "stream_start" and found[-1] == "stream_end" and set(found[1:-1]) <= {"text_generation"}
    return None if right else " ".join(sorted(set(found)))


@probe("analyze.content_type", billed=True)
async def content_type(wire: Wire) -> str | None:
    """The header of a stream."""
    answer = await wire.call("POST", "/analyze", await wire.question(stream=True))
    given = answer.headers.get("Content-Type", "").partition(";")[0]
    return None if given == "application/x-ndjson" else f"Content-Type {given or 'missing'}"


@probe("analyze.answer", billed=True)
async def one_answer(wire: Wire) -> str | None:
    """The members of an answer."""
    answer = await wire.call("POST", "/analyze", await wire.question(stream=False))
    if answer.status != 200:
        return answer.brief
    missing = [name for name in ("id", "data", "finish_reason", "usage") if name not in answer.json]
    return None if not missing else f"no {', '.join(missing)}"


@probe("tasks.create", billed=True)
async def task(wire: Wire) -> str | None:
    """The answer to a creation."""
    answer = await wire.call("POST", "/analyze/tasks", await wire.question())
    return unless(answer.status == 202 and answer.json.get("status") in {"queued", "pending"}, answer)


@probe("tasks.lifecycle", billed=True)
async def lifecycle(wire: Wire) -> str | None:
    """From the creation to the result, with the name that it was given."""
    answer = await wire.call("POST", "/analyze/tasks", await wire.question(custom_id="reelwire-verify"))
    if answer.status != 202:
        return answer.brief
    shown = await wire.settled(f"/analyze/tasks/{answer.json['task_id']}")
    if shown["status"] != "ready" or not shown.get("result", {}).get("data"):
        return f"{shown['status']} {shown.get('error')}"
    return None if shown.get("custom_id") == "reelwire-verify" else f"custom_id {shown.get('custom_id')}"


@probe("tasks.idempotency", billed=True)
async def idempotency(wire: Wire) -> str | None:
    """The same creation twice with one key."""
    headers = {"Idempotency-Key": f"reelwire-verify-{secrets.token_hex(8)}"}
    question = await wire.question()
    first = await wire.call("POST", "/analyze/tasks", question, headers=headers)
    second = await wire.call("POST", "/analyze/tasks", question, headers=headers)
    if first.status != 202 or second.status != 202:
        return second.brief
    return None if first.json["task_id"] == second.json["task_id"] else "two tasks were made"


@probe("analysis.waits_for_asset", billed=True)
async def waits(wire: Wire) -> str | None:
    """An asset that has just been made."""
    made = await wire.upload()
    if made.status != 201:
        return made.brief
    video = {"type": "asset_id", "asset_id": made.json["_id"]}
    answer = await wire.call("POST", "/analyze", await wire.question(video=video, stream=False))
    return unless(answer.status == 200, answer)
