"""The storage that takes the chunks of upload sessions: signed URLs beside the API, used once and not for ever."""

from __future__ import annotations

import hashlib

from aiohttp import web

from service.emulator.behaviours import KnownFrom, behaves
from service.emulator.http.bodies import BodyClock, readable
from service.emulator.http.calls import Call, endpoint
from service.emulator.model.uploads.session import UploadSession
from service.emulator.refusals import Refusal

_PIECE_BYTES = 1024 * 1024


@behaves(
    "uploads.storage",
    "The storage is another address, needs no key, takes each URL once and not after its time (403), and "
    "answers a quoted MD5 as ETag.",
    KnownFrom.DOCUMENTED,
    test="http/uploads/test_sessions.py::test_a_url_takes_its_chunk_once_and_answers_its_quoted_md5",
    on=("chunk_put",),
    item=5,
)
async def _put(call: Call) -> web.StreamResponse:
    uploads, request = call.platform.uploads, call.request
    uploads.storage["puts"] += 1
    if "x-api-key" in request.headers:
        uploads.storage["with_api_key"] += 1
    try:
        await call.apply_faults(early=True)
        session = uploads.get(request.match_info["upload_id"])
        index = int(request.match_info["index"])
        nonce = session.check_url(index, dict(request.query), call.platform.now())
        _check_head(call, session, index)
        etag = await _received(call, session, index)
        await call.apply_faults()
    except Refusal as refusal:
        uploads.storage["refused"] += 1
        return _refused(refusal)
    uploads.stored(session, index, nonce, etag)
    return web.Response(headers={"ETag": f'"{etag}"'})


@behaves(
    "uploads.headers",
    "With a switch a chunk without the `upload_headers` is refused; the SDK does not send them.",
    KnownFrom.SDK,
    test="http/uploads/test_sessions.py::test_upload_headers_are_demanded_by_a_switch",
    on=("chunk_put",),
    item=5,
)
def _check_head(call: Call, session: UploadSession, index: int) -> None:
    headers = call.request.headers
    if call.platform.options.enforce_upload_headers:
        for name, value in session.headers.items():
            if headers.get(name) != value:
                raise Refusal(403, "SignatureDoesNotMatch", f"The header {name} is not as signed.")
    size = call.request.content_length
    if size is None:
        raise Refusal(411, "MissingContentLength", "You must provide the Content-Length HTTP header.")
    if not session.has(index) or size != session.size_of(index):
        raise Refusal(400, "EntityTooLarge", f"Chunk {index} does not have {size} bytes.")


async def _received(call: Call, session: UploadSession, index: int) -> str:
    """Write the body to its place; the MD5 of it, in hex."""
    clock = BodyClock(call.platform.options.silence_seconds)
    digest, buffer, offset = hashlib.md5(usedforsecurity=False), bytearray(), 0
    with readable("chunk"):
        while data := await clock.wait(call.request.content.readany()):
            clock.received(len(data))
            digest.update(data)
            buffer += data
            if len(buffer) >= _PIECE_BYTES:
                await call.platform.uploads.write(session, index, offset, bytes(buffer))
                offset += len(buffer)
                buffer.clear()
    await call.platform.uploads.write(session, index, offset, bytes(buffer))
    call.platform.uploads.storage["bytes"] += offset + len(buffer)
    return digest.hexdigest()


def _refused(refusal: Refusal) -> web.Response:
    """Storages answer in XML."""
    body = f"<Error><Code>{refusal.code}</Code><Message>{refusal.message}</Message></Error>"
    return web.Response(status=refusal.status, text=body, content_type="application/xml")


def storage_routes() -> list[web.RouteDef]:
    """Whole paths."""
    path = "/_storage/{upload_id:[0-9a-fA-F]{24}}/{index:[0-9]{1,9}}"
    return [web.put(path, endpoint("chunk_put", _put, keyless=True))]
