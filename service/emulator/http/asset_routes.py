"""The endpoints of `/assets`."""

from __future__ import annotations

import secrets

from aiohttp import web

from service.emulator.behaviours import KnownFrom, behaves
from service.emulator.generation.transcript import PARTS, transcript
from service.emulator.http.answers import json_response
from service.emulator.http.asset_form import checked_metadata, read_asset_form
from service.emulator.http.calls import Call, endpoint
from service.emulator.http.paging import page_of
from service.emulator.model.assets import Asset, cleaned, matching_assets, merged
from service.emulator.parameters import Parameters
from service.emulator.refusals import invalid, unknown

_KINDS = frozenset({"image", "video", "audio", "document"})


@behaves(
    "assets.processing_first",
    "The creation of an asset is 201 with `processing`, whatever its size.",
    KnownFrom.DOCUMENTED,
    test="http/test_asset_routes.py::test_an_asset_is_processing_until_its_time",
    on=("asset_create",),
    item=4,
)
@behaves(
    "assets.ready_at_once",
    "With a switch a file is answered with `ready`, as before July 2026.",
    KnownFrom.DOCUMENTED,
    test="http/test_waiting_assets.py::test_the_legacy_switch_answers_when_the_asset_is_ready",
    on=("asset_create",),
    item=4,
)
async def _create(call: Call) -> web.StreamResponse:
    platform = call.platform
    await call.apply_faults(early=True)
    form = await read_asset_form(call.request, platform.viewer, platform.options)
    spooled = form.spooled
    call.note(method=form.method, filename=form.filename, url=form.url)
    if spooled is not None:
        platform.activity.bytes["received"] += spooled.size
        call.note(sha256=spooled.sha256, size=spooled.size)
    try:
        fault = await call.apply_faults(f"{form.filename}\n{form.url or ''}")
    except BaseException:
        if spooled is not None:
            spooled.path.unlink(missing_ok=True)
        raise
    now = platform.now()
    wait = platform.pace.asset_ready_seconds if fault.asset_seconds is None else fault.asset_seconds
    asset = Asset(
        id=secrets.token_hex(12),
        method=form.method,
        filename=form.filename,
        file_type=form.file_type,
        created_at=now,
        ready_at=now + wait * platform.pace.time_scale,
        hls=form.hls,
        thumbnail=form.thumbnail,
        url=form.url,
        metadata=form.metadata,
    )
    call.note(asset_id=asset.id)
    if call.entry is not None:
        platform.activity.created(call.entry)
    platform.assets.add(asset, spooled, fault)
    if platform.options.assets_ready_at_once and spooled is not None:
        await platform.assets.settled(asset.id)
        return json_response(asset.brief(platform.now()), 201)
    # The platform answers `processing` for every size.
    return json_response(asset.brief(now) | {"status": "processing"}, 201)


@behaves(
    "assets.list",
    "Assets are listed newest first, by ids, types and a part of the name.",
    KnownFrom.DOCUMENTED,
    test="http/test_asset_routes.py::test_assets_are_found_by_a_part_of_their_name_newest_first",
    on=("asset_list",),
    item=2,
)
async def _list(call: Call) -> web.StreamResponse:
    await call.apply_faults()
    query = call.request.query
    kinds = query.getall("asset_types", [])
    if not _KINDS.issuperset(kinds):
        raise invalid(f"The asset_types parameter must be of {', '.join(sorted(_KINDS))}.")
    assets = call.platform.assets.all()
    found, info = page_of(matching_assets(assets, query.getall("asset_ids", []), kinds, query.get("filename")), query)
    now = call.platform.now()
    return json_response({"data": [asset.detail(now) for asset in found], "page_info": info})


@behaves(
    "assets.detail",
    "A ready asset tells size, duration and technical metadata, measured in the real bytes.",
    KnownFrom.DOCUMENTED,
    test="http/test_asset_routes.py::test_an_asset_shows_what_is_in_the_sample_video",
    on=("asset_get",),
    item=4,
)
async def _get(call: Call) -> web.StreamResponse:
    await call.apply_faults()
    asset = call.platform.assets.get(call.request.match_info["asset_id"])
    return json_response(asset.detail(call.platform.now()))


@behaves(
    "assets.delete",
    "Deleting an asset is 204 without a body, also while a task uses it: the task ends as it would have.",
    KnownFrom.INFERRED,
    test="http/test_behaviours.py::test_an_asset_is_deleted_while_its_task_runs",
    on=("asset_delete",),
)
async def _delete(call: Call) -> web.StreamResponse:
    await call.apply_faults()
    call.platform.assets.remove(call.request.match_info["asset_id"])
    return web.Response(status=204)


@behaves(
    "assets.metadata",
    "PATCH merges metadata (null removes), PUT replaces it, DELETE clears it.",
    KnownFrom.DOCUMENTED,
    test="http/test_asset_routes.py::test_metadata_is_merged_replaced_and_cleared",
    on=("asset_metadata",),
    item=1,
)
async def _metadata(call: Call) -> web.StreamResponse:
    await call.apply_faults()
    asset = call.platform.assets.get(call.request.match_info["asset_id"])
    if call.request.method == "DELETE":
        asset.metadata = {}
    else:
        body, _ = await call.json()
        given = checked_metadata(Parameters(body).raw("user_metadata"))
        asset.metadata = cleaned(given) if call.request.method == "PUT" else merged(asset.metadata, given)
    call.platform.assets.note(asset)
    return web.Response(status=204)


@behaves(
    "assets.transcription",
    "The transcription of a video with sound has the parts of `include`; without sound it is 404. The "
    "words are invented.",
    KnownFrom.DOCUMENTED,
    test="http/test_waiting_assets.py::test_a_transcription_has_the_parts_that_were_asked_for",
    on=("asset_get",),
    item=1,
)
async def _transcription(call: Call) -> web.StreamResponse:
    """Of videos with sound; any other asset has none (404)."""
    await call.apply_faults()
    asset = call.platform.assets.get(call.request.match_info["asset_id"])
    wanted = {part for given in call.request.query.getall("include", []) for part in given.split(",") if part}
    if not wanted <= set(PARTS):
        raise invalid(f"The include parameter must be of {', '.join(PARTS)}.")
    status = asset.status(call.platform.now())
    if status == "processing":
        return json_response({"status": "processing"})
    if asset.footage is None:
        return json_response({"status": "failed", "error": {"message": asset.failure or "no content"}})
    if asset.footage.audio_codec is None:
        raise unknown("transcription of asset", asset.id)
    return json_response({"status": "ready"} | transcript(asset.footage, frozenset(wanted or {"words"})))


@behaves(
    "assets.references",
    "No asset is in an index or an entity.",
    KnownFrom.INFERRED,
    test="http/test_behaviours.py::test_no_asset_is_in_an_index_or_an_entity",
    on=("asset_get",),
    item=1,
)
async def _references(call: Call) -> web.StreamResponse:
    """Indexes and entities of an asset: always none, because the emulator has neither."""
    await call.apply_faults()
    call.platform.assets.get(call.request.match_info["asset_id"])
    nothing: list[str] = []
    found, info = page_of(nothing, call.request.query)
    return json_response({"data": found, "page_info": info})


def asset_routes() -> list[web.RouteDef]:
    """Paths are relative to `/v1.3`."""
    one = "/assets/{asset_id:[0-9a-fA-F]{24}}"
    return [
        web.post("/assets", endpoint("asset_create", _create)),
        web.get("/assets", endpoint("asset_list", _list)),
        web.get(one, endpoint("asset_get", _get)),
        web.delete(one, endpoint("asset_delete", _delete)),
        web.patch(f"{one}/user-metadata", endpoint("asset_metadata", _metadata)),
        web.put(f"{one}/user-metadata", endpoint("asset_metadata", _metadata)),
        web.delete(f"{one}/user-metadata", endpoint("asset_metadata", _metadata)),
        web.get(f"{one}/transcription", endpoint("asset_get", _transcription)),
        web.get(f"{one}/indexed-assets", endpoint("asset_get", _references)),
        web.get(f"{one}/entities", endpoint("asset_get", _references)),
    ]
