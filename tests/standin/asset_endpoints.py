"""`/assets`, upload sessions, and the storage that takes their chunks."""

from __future__ import annotations

import hashlib
import re
import secrets
import time

from aiohttp import web

from tests.standin.analysis_rules import asset_ids
from tests.standin.asset_form import read_form
from tests.standin.endpoints import Answer, Endpoints
from tests.standin.rules import ID, Violated, flag, listed, obj, one_of, text, user_metadata, whole
from tests.standin.state import ENDED, Asset, Body, Session, moment

_NEW_UPLOAD = obj(
    {
        "filename!": text(1, 255),
        "type!": one_of("video", "audio", "image"),
        "total_size!": whole(1, 10_000_000_000),
        "enable_hls": flag,
        "enable_thumbnail": flag,
        "user_metadata": user_metadata,
    }
)
_PROOF = obj({"chunk_index!": whole(1), "proof!": text(), "proof_type!": one_of("etag"), "chunk_size!": whole(1)})
_REPORT = obj({"completed_chunks!": listed(_PROOF, 1, 50)})
_URLS = obj({"start!": whole(1), "count!": whole(1, 50)})


class AssetEndpoints(Endpoints):
    """Each method answers with a status and a body, or raises `Violated`."""

    async def _create_asset(self, request: web.Request) -> Answer:
        if request.content_length is None:
            raise Violated("Content-Length is missing although the size is known")
        form = read_form(request.headers.get("Content-Type", ""), await request.read())
        return 201, self._new_asset(form.method, form.filename, len(form.file or b"x"), form.metadata).shown()

    def _new_asset(self, method: str, filename: str, size: int, metadata: Body, kind: str = "video") -> Asset:
        asset = Asset(self.state.new_id(), method, filename, kind, size, time.time(), metadata)
        self.state.assets[asset.id] = asset
        return asset

    async def _list_assets(self, request: web.Request) -> Answer:
        part, ids = request.query.get("filename", "").lower(), request.query.getall("asset_ids", [])
        rows = [
            one.shown()
            for one in reversed(self.state.assets.values())
            if part in one.filename.lower() and (not ids or one.id in ids)
        ]
        return 200, self._page(request, rows)

    async def _get_asset(self, request: web.Request, asset_id: str) -> Answer:
        return 200, self.state.asset(asset_id).shown()

    async def _delete_asset(self, request: web.Request, asset_id: str) -> Answer:
        used = [task.id for task in self.state.tasks.values() if asset_id in asset_ids(task.body)]
        if any(self.state.tasks[task_id].status() not in ENDED for task_id in used):
            raise Violated(f"asset {asset_id} is deleted while a task needs it", 409, "resource_in_use")
        del self.state.assets[self.state.asset(asset_id).id]
        return 200, None

    async def _create_upload(self, request: web.Request) -> Answer:
        body = await self._json(request)
        _NEW_UPLOAD(body, "body")
        kind = body["type"]
        if kind == "image" and body["total_size"] > 32_000_000:
            raise Violated("an image has at most 32 MB")
        metadata = body.get("user_metadata", {})
        asset = self._new_asset("multipart", body["filename"], body["total_size"], metadata, kind)
        asset.complete = False
        session = Session(self.state.new_id(), asset, body["total_size"], self._chunk_bytes, time.time())
        self.state.sessions[session.id] = session
        return 201, {
            "upload_id": session.id,
            "asset_id": asset.id,
            "upload_urls": self._urls(session, 1, 3),
            "upload_headers": self._upload_headers(session),
            "chunk_size": session.chunk,
            "total_chunks": session.count,
            "expires_at": moment(session.made + 86_400),
        }

    def _upload_headers(self, session: Session) -> dict[str, str]:
        return {"Content-Type": "application/octet-stream", "x-amz-meta-upload": session.id}

    def _urls(self, session: Session, start: int, count: int) -> list[Body]:
        made = []
        for index in range(start, min(start + count, session.count + 1)):
            nonce = secrets.token_hex(8)
            session.urls[nonce] = index
            address = f"{self._storage_url}/{session.id}/{index}?signature={nonce}"
            made.append({"chunk_index": index, "url": address, "expires_at": moment(time.time() + 3_600)})
        return made

    async def _list_uploads(self, request: web.Request) -> Answer:
        rows = [
            {
                "upload_id": one.id,
                "status": one.status,
                "total_size": one.total,
                "chunk_size": one.chunk,
                "total_chunks": one.count,
                "created_at": moment(one.made),
                "expires_at": moment(one.made + 86_400),
            }
            for one in reversed(self.state.sessions.values())
            if one.status == "active"
        ]
        return 200, self._page(request, rows)

    async def _get_upload(self, request: web.Request, upload_id: str) -> Answer:
        session = self.state.session(upload_id)
        chunks = [
            {
                "index": index,
                "status": "completed" if index in session.reported else "pending",
                "uploaded_at": moment(session.made) if index in session.reported else None,
                "updated_at": moment(session.made),
            }
            for index in range(1, session.count + 1)
        ]
        done = len(session.reported)
        told = {
            "upload_id": session.id,
            "status": session.status,
            "chunks_completed": done,
            "chunks_failed": 0,
            "chunks_pending": session.count - done,
            "total_size": session.total,
            "uploaded_size": sum(session.size_of(index) for index in session.reported),
            "created_at": moment(session.made),
            "updated_at": moment(time.time()),
        }
        return 200, self._page(request, chunks, "uploaded_chunks") | told

    async def _report(self, request: web.Request, upload_id: str) -> Answer:
        session, body = self.state.session(upload_id), await self._json(request)
        _REPORT(body, "body")
        new = 0
        for proof in body["completed_chunks"]:
            index = proof["chunk_index"]
            if proof["proof"].strip('"') != session.etags.get(index):
                raise Violated(f"chunk {index} is reported, but the storage does not have it with this ETag")
            if proof["chunk_size"] != session.size_of(index):
                raise Violated(f"chunk {index} is reported with another size")
            new += index not in session.reported
            session.reported.add(index)
        answer: Body = {
            "asset_id": session.asset.id,
            "processed_chunks": new,
            "duplicate_chunks": len(body["completed_chunks"]) - new,
            "total_completed": len(session.reported),
        }
        if session.status == "completed":
            session.asset.complete, session.asset.made = True, time.time()
            answer["url"] = "https://cdn.example.com/a"
        return 200, answer

    async def _more_urls(self, request: web.Request, upload_id: str) -> Answer:
        session, body = self.state.session(upload_id), await self._json(request)
        _URLS(body, "body")
        if body["start"] > session.count:
            raise Violated(f"start is beyond the {session.count} chunks")
        urls = self._urls(session, body["start"], body["count"])
        now = time.time()
        return 200, {
            "upload_id": session.id,
            "start_index": body["start"],
            "count": len(urls),
            "upload_urls": urls,
            "generated_at": moment(now),
            "expires_at": moment(now + 3_600),
        }

    async def _storage(self, request: web.Request) -> web.StreamResponse:
        self.calls["chunk_put"] += 1
        try:
            found = re.fullmatch(f"/({ID.pattern})/([0-9]+)", request.rel_url.path)
            if request.method != "PUT" or found is None:
                raise Violated("the storage takes a PUT of a chunk only")
            session, index = self.state.session(found.group(1)), int(found.group(2))
            if "x-api-key" in request.headers:
                raise Violated("the API key is shown to the storage")
            if session.urls.pop(request.query.get("signature", ""), None) != index:
                raise Violated(f"chunk {index} is sent to a URL that is not its own, or was used", 403)
            for name, value in self._upload_headers(session).items():
                if request.headers.getall(name, []) != [value]:
                    raise Violated(f"the header {name} of upload_headers is missing", 403)
            if request.content_length != session.size_of(index):
                raise Violated(f"chunk {index} has {session.size_of(index)} bytes, not {request.content_length}")
            if index in session.reported:
                raise Violated(f"chunk {index} is sent again although it was reported")
            session.etags[index] = hashlib.md5(await request.read()).hexdigest()
        except Violated as violated:
            self._violated(request, violated)
            return web.Response(status=violated.status, text="<Error/>")
        return web.Response(headers={"ETag": f'"{session.etags[index]}"'})
