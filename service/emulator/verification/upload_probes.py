"""Probes of assets and upload sessions. They make small assets, which are deleted, and leave one session unfinished."""

from __future__ import annotations

import re
from typing import Any

from service.emulator.verification.probes import probe, unless
from service.emulator.verification.wire import NotTried, Wire

_ID = re.compile(r"[0-9a-fA-F]{24}")


@probe("assets.form")
async def form(wire: Wire) -> str | None:
    """JSON in place of the form."""
    answer = await wire.call("POST", "/assets", {"method": "url", "url": "https://media.example.com/a.mp4"})
    return unless(answer.status == 400 and answer.code == "content_type_invalid", answer)


@probe("assets.processing_first")
async def processing_first(wire: Wire) -> str | None:
    """The answer to an upload."""
    answer = await wire.upload(enable_hls="false", enable_thumbnail="false")
    return unless(answer.status == 201 and answer.json.get("status") == "processing", answer)


@probe("assets.empty_parts")
async def empty_parts(wire: Wire) -> str | None:
    """Fields without a value."""
    answer = await wire.upload(filename="", user_metadata="")
    return unless(answer.status == 201, answer)


@probe("assets.detail")
async def detail(wire: Wire) -> str | None:
    """The measures of the sample."""
    shown = (await wire.call("GET", f"/assets/{await wire.asset()}")).json
    missing = [name for name in ("size", "duration", "technical_metadata") if not shown.get(name)]
    if missing:
        return f"no {', '.join(missing)}"
    size = wire.sample.stat().st_size
    return None if shown["size"] == size else f"size {shown['size']} in place of {size}"


@probe("answers.ids")
async def ids(wire: Wire) -> str | None:
    """Of an asset."""
    asset_id = await wire.asset()
    return None if _ID.fullmatch(asset_id) else f"an id of {len(asset_id)} characters"


@probe("assets.list")
async def listed(wire: Wire) -> str | None:
    """By its id, and by a part of its name in other letters."""
    asset_id = await wire.asset()
    for query in (f"asset_ids={asset_id}", "filename=REELWIRE-VERIFY"):
        answer = await wire.call("GET", f"/assets?{query}")
        if answer.status != 200 or asset_id not in [row.get("_id") for row in answer.json["data"]]:
            return f"{query}: {answer.brief}"
    return None


@probe("assets.metadata")
async def metadata(wire: Wire) -> str | None:
    """Set, merged and removed."""
    path = f"/assets/{await wire.asset()}"
    for method, given in (("PUT", {"a": "1", "b": True}), ("PATCH", {"a": None, "c": "2"})):
        answer = await wire.call(method, f"{path}/user-metadata", {"user_metadata": given})
        if answer.status not in {200, 204}:
            return f"{method}: {answer.brief}"
    found = (await wire.call("GET", path)).json.get("user_metadata")
    return None if found == {"b": True, "c": "2"} else f"metadata {found}"


@probe("assets.failed")
async def failed(wire: Wire) -> str | None:
    """A text that is called a video."""
    answer = await wire.upload(b"this is no video " * 100)
    if answer.status != 201:
        return answer.brief
    shown = await wire.settled(f"/assets/{answer.json['_id']}")
    return None if shown["status"] == "failed" and shown.get("error", {}).get("message") else str(shown["status"])


async def _session(wire: Wire) -> dict[str, Any]:
    body = {"filename": "reelwire-verify.mp4", "type": "video", "total_size": wire.sample.stat().st_size}
    answer = await wire.call("POST", "/assets/multipart-uploads", body)
    if answer.status != 201 or not isinstance(answer.json, dict):
        raise NotTried(f"no upload session was begun: {answer.brief}")
    found: dict[str, Any] = answer.json
    return found


@probe("uploads.session")
async def session(wire: Wire) -> str | None:
    """What a new session tells."""
    made = await _session(wire)
    size = wire.sample.stat().st_size
    chunks = -(-size // made["chunk_size"])
    if made["total_chunks"] != chunks:
        return f"{made['total_chunks']} chunks in place of {chunks}"
    first = made["upload_urls"][0]["chunk_index"]
    return None if first == 1 else f"the first chunk is {first}"


@probe("uploads.storage")
async def storage(wire: Wire) -> str | None:
    """A chunk without a key, its ETag, its report twice, and its URL once more."""
    made = await _session(wire)
    size = min(made["chunk_size"], wire.sample.stat().st_size)
    with wire.sample.open("rb") as file:
        chunk = file.read(size)
    url, headers = made["upload_urls"][0]["url"], made["upload_headers"]
    first = await wire.call("PUT", "", data=chunk, headers=headers, url=url)
    etag = first.headers.get("ETag", "")
    if first.status != 200 or not re.fullmatch(r'"[0-9a-f]{32}"', etag):
        return f"{first.brief}, ETag {etag or 'missing'}"
    second = await wire.call("PUT", "", data=chunk, headers=headers, url=url)
    return unless(second.status == 403, second)


@probe("uploads.more_urls")
async def more_urls(wire: Wire) -> str | None:
    """One more than may be asked for."""
    made = await _session(wire)
    path = f"/assets/multipart-uploads/{made['upload_id']}/presigned-urls"
    fine = await wire.call("POST", path, {"start": 1, "count": 1})
    if fine.status != 200 or fine.json["upload_urls"][0]["chunk_index"] != 1:
        return fine.brief
    many = await wire.call("POST", path, {"start": 1, "count": 51})
    return unless(many.status == 400, many)


@probe("uploads.status")
async def status(wire: Wire) -> str | None:
    """Beyond the last chunk."""
    made = await _session(wire)
    answer = await wire.call("GET", f"/assets/multipart-uploads/{made['upload_id']}?page=100000")
    return unless(answer.status == 200 and answer.json.get("uploaded_chunks") == [], answer)


@probe("uploads.report_whole")
async def report(wire: Wire) -> str | None:
    """Of a chunk that was not sent."""
    made = await _session(wire)
    proof = {"chunk_index": 1, "proof": "0" * 32, "proof_type": "etag", "chunk_size": made["chunk_size"]}
    path = f"/assets/multipart-uploads/{made['upload_id']}"
    answer = await wire.call("POST", path, {"completed_chunks": [proof]})
    return unless(answer.status == 400, answer)
