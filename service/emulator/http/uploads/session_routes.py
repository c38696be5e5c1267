"""The endpoints of `/assets/multipart-uploads`."""

from __future__ import annotations

import mimetypes
import secrets
from typing import Any

from aiohttp import web

from contracts.platform_limits import IMAGE_BYTES
from service.clock import rfc3339
from service.emulator.behaviours import KnownFrom, behaves
from service.emulator.http.answers import json_response
from service.emulator.http.asset_form import checked_metadata
from service.emulator.http.calls import Call, endpoint
from service.emulator.http.paging import page_of
from service.emulator.model.assets import Asset, cleaned
from service.emulator.model.uploads.book import Proof
from service.emulator.model.uploads.session import UploadSession
from service.emulator.parameters import Parameters
from service.emulator.refusals import Refusal, invalid

FIRST_URLS = 10
"""How many URLs come with a new session; the others are asked for."""
_MOST = 50
_KINDS = ("video", "audio", "image")
_KNOWN = frozenset({"filename", "type", "total_size", "enable_hls", "enable_thumbnail", "user_metadata"})


@behaves(
    "uploads.session",
    "A session reserves its asset and names the size of a chunk; chunks count from 1; not all URLs come at once.",
    KnownFrom.DOCUMENTED,
    test="http/uploads/test_sessions.py::test_a_session_has_urls_for_its_first_chunks_and_an_asset_that_is_processing",
    on=("upload_create",),
    item=5,
)
async def _create(call: Call) -> web.StreamResponse:
    platform, options = call.platform, call.platform.options
    body, _ = await call.json()
    given = Parameters(body)
    if options.strict_parameters:
        given.only(_KNOWN)
    filename = given.text("filename", required=True) or ""
    if len(filename) > 255:
        raise invalid("The filename parameter must be 1 to 255 characters.")
    kind = given.text("type", required=True, choices=_KINDS) or ""
    most = IMAGE_BYTES if kind == "image" else options.multipart_limit_bytes
    size = _whole(given, "total_size", 1, most)
    metadata = given.raw("user_metadata")
    call.note(filename=filename, size=size)
    await call.apply_faults(filename)
    now = platform.now()
    asset = Asset(
        id=secrets.token_hex(12),
        method="multipart",
        filename=filename,
        file_type=mimetypes.guess_type(filename)[0] or f"{kind}/mp4",
        created_at=now,
        ready_at=now,
        hls=given.flag("enable_hls", default=False),
        thumbnail=given.flag("enable_thumbnail", default=False),
        metadata={} if metadata is None else cleaned(checked_metadata(metadata)),
    )
    session = await platform.uploads.create(
        asset,
        size,
        chunk_size=options.chunk_bytes,
        lasts_seconds=platform.pace.upload_session_seconds,
        enforced=options.enforce_upload_headers,
    )
    call.note(asset_id=asset.id, upload_id=session.id)
    if call.entry is not None:
        platform.activity.created(call.entry)
    return json_response(
        {
            "upload_id": session.id,
            "asset_id": session.asset_id,
            "upload_urls": _urls(call, session, 1, FIRST_URLS),
            "upload_headers": session.headers,
            "chunk_size": session.chunk_size,
            "total_chunks": session.total_chunks,
            "expires_at": rfc3339(session.expires_at),
        },
        201,
    )


@behaves(
    "uploads.list",
    "Unfinished sessions are listed newest first, expired ones too.",
    KnownFrom.INFERRED,
    test="http/uploads/test_sdk_upload.py::test_the_status_and_the_list_of_unfinished_uploads_page_to_their_end",
    on=("upload_list",),
    item=5,
)
async def _list(call: Call) -> web.StreamResponse:
    await call.apply_faults()
    now = call.platform.now()
    unfinished = [one for one in reversed(call.platform.uploads.all()) if not one.completed]
    found, info = page_of(unfinished, call.request.query)
    return json_response({"data": [one.summary(now) for one in found], "page_info": info})


@behaves(
    "uploads.status",
    "A session tells the state of each chunk, page by page, beyond the last an empty page.",
    KnownFrom.DOCUMENTED,
    test="http/uploads/test_sdk_upload.py::test_the_status_and_the_list_of_unfinished_uploads_page_to_their_end",
    on=("upload_get",),
    item=2,
)
async def _get(call: Call) -> web.StreamResponse:
    await call.apply_faults()
    session, now = _session(call), call.platform.now()
    indexes, info = page_of(range(1, session.total_chunks + 1), call.request.query)
    reported = session.reported
    times = [chunk.reported_at or chunk.stored_at for chunk in session.chunks.values()]
    return json_response(
        {
            "upload_id": session.id,
            "status": session.status(now),
            "uploaded_chunks": [session.chunk_info(index) for index in indexes],
            "chunks_completed": len(reported),
            "chunks_failed": 0,
            "chunks_pending": session.total_chunks - len(reported),
            "page_info": info,
            "total_size": session.total_size,
            "uploaded_size": sum(session.size_of(index) for index in reported),
            "created_at": rfc3339(session.created_at),
            "updated_at": rfc3339(max(times, default=session.created_at)),
        }
    )


@behaves(
    "uploads.report",
    "Chunks are reported 1 to 50 at a time, their ETag quoted or bare; a repetition is counted as such and harmless.",
    KnownFrom.DOCUMENTED,
    test="http/uploads/test_sessions.py::test_a_report_takes_proofs_quoted_and_bare_and_counts_repeats",
    on=("upload_report",),
    item=5,
)
@behaves(
    "uploads.report_whole",
    "A report with one wrong chunk counts none of them; for an expired session it is 400.",
    KnownFrom.INFERRED,
    test="http/uploads/test_sessions.py::test_a_wrong_report_counts_nothing",
    on=("upload_report",),
    item=5,
)
async def _report(call: Call) -> web.StreamResponse:
    body, _ = await call.json()
    session = _session(call)
    proofs = [_proof(item, session) for item in Parameters(body).objects("completed_chunks", least=1, most=_MOST)]
    call.note(upload_id=session.id, chunks=[proof.index for proof in proofs])
    await call.apply_faults()
    if session.status(call.platform.now()) == "expired":
        raise _not_active(session, "expired")
    processed, duplicates = call.platform.uploads.report(session, proofs)
    answer: dict[str, Any] = {
        "asset_id": session.asset_id,
        "processed_chunks": processed,
        "duplicate_chunks": duplicates,
        "total_completed": len(session.reported),
    }
    if session.completed:
        answer["url"] = f"https://cdn.invalid/{session.asset_id}"
    return json_response(answer)


def _proof(given: Parameters, session: UploadSession) -> Proof:
    index = _whole(given, "chunk_index", 1, session.total_chunks)
    proof = given.text("proof", required=True) or ""
    given.text("proof_type", required=True, choices=("etag",))
    size = _whole(given, "chunk_size", 1, session.chunk_size) if given.given("chunk_size") else None
    return Proof(index, proof, size)


@behaves(
    "uploads.more_urls",
    "Fresh URLs come for at most 50 chunks, for those that were not reported only.",
    KnownFrom.INFERRED,
    test="http/uploads/test_sessions.py::test_more_urls_come_for_chunks_that_were_not_reported",
    on=("upload_urls",),
    item=5,
)
async def _more_urls(call: Call) -> web.StreamResponse:
    body, _ = await call.json()
    session = _session(call)
    given = Parameters(body)
    start = _whole(given, "start", 1, session.total_chunks)
    count = _whole(given, "count", 1, _MOST)
    call.note(upload_id=session.id, start=start, count=count)
    await call.apply_faults()
    now = call.platform.now()
    status = session.status(now)
    if status != "active":
        raise _not_active(session, status)
    urls = _urls(call, session, start, count)
    return json_response(
        {
            "upload_id": session.id,
            "start_index": start,
            "count": len(urls),
            "upload_urls": urls,
            "generated_at": rfc3339(now),
            "expires_at": rfc3339(_url_end(call)),
        }
    )


def _session(call: Call) -> UploadSession:
    return call.platform.uploads.get(call.request.match_info["upload_id"])


def _not_active(session: UploadSession, status: str) -> Refusal:
    return invalid(f"The upload {session.id} is not active: its status is {status}.")


def _urls(call: Call, session: UploadSession, start: int, count: int) -> list[dict[str, Any]]:
    """For chunks that were not reported yet."""
    root, until, reported = str(call.request.url.origin()), _url_end(call), set(session.reported)
    wanted = range(start, min(start + count, session.total_chunks + 1))
    return [session.url(root, index, until) for index in wanted if index not in reported]


def _url_end(call: Call) -> float:
    return call.platform.now() + call.platform.pace.upload_url_seconds


def _whole(given: Parameters, name: str, least: int, most: int) -> int:
    value = given.number(name, required=True, least=least, most=most) or 0
    if value != int(value):
        raise invalid(f"The {given.named(name)} parameter must be a whole number.")
    return int(value)


def upload_routes() -> list[web.RouteDef]:
    """Paths are relative to `/v1.3`."""
    every = "/assets/multipart-uploads"
    one = every + "/{upload_id:[0-9a-fA-F]{24}}"
    return [
        web.post(every, endpoint("upload_create", _create)),
        web.get(every, endpoint("upload_list", _list)),
        web.get(one, endpoint("upload_get", _get)),
        web.post(one, endpoint("upload_report", _report)),
        web.post(f"{one}/presigned-urls", endpoint("upload_urls", _more_urls)),
    ]
