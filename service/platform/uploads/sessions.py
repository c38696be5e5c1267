"""Upload sessions: begin one, report its chunks, ask for fresh URLs, look at it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Literal
from urllib.parse import urlsplit

from service.platform.errors import OutcomeUnknown
from service.platform.http.exchange import MAX_PAGE_BYTES, Call, escaped, json_call
from service.platform.marks import AssetMark
from service.platform.paging import PAGE_LIMIT, PagedCalls
from service.platform.uploads.storage import ChunkStorage
from service.platform.uploads.values import ChunkProof, ChunkUrl, UploadSession, UploadStatus

_PATH = "assets/multipart-uploads"
_LONGEST_URL = 16 * 1024
_MOST_CHUNKS = 100_000
_MOST_HEADERS = 50
_LONGEST_HEADER = 4096
_OURS = frozenset({"content-length", "transfer-encoding", "host", "connection", "x-api-key"})
"""Headers that the platform has no say in."""

MediaKind = Literal["video", "audio"]


class UploadCalls(PagedCalls):
    """`/assets/multipart-uploads`. Each POST may be repeated: a session begun twice is one that nobody completes."""

    @cached_property
    def storage(self) -> ChunkStorage:
        """Takes the chunks. It has connections and limits of its own: none of its calls carries the API key."""
        return ChunkStorage(self._settings, self._metrics, self._clock, self._may_pay)

    async def aclose(self) -> None:
        await self.storage.aclose()
        await super().aclose()

    async def begin_upload(
        self, *, filename: str, kind: MediaKind, size: int, mark: AssetMark, request_id: str
    ) -> UploadSession:
        """Begin a session for a file of `size` bytes. `OutcomeUnknown` when the answer holds no session."""
        body = {
            "filename": filename,
            "type": kind,
            "total_size": size,
            "enable_hls": False,
            "enable_thumbnail": False,
            "user_metadata": mark.metadata(self._secret) | {"request_id": request_id},
        }
        answer = await self._post("begin_upload", _PATH, body)
        reader = self._reader
        upload_id = reader.short_text(answer.get("upload_id"), "upload_id")
        asset_id = reader.short_text(answer.get("asset_id"), "asset_id")
        chunk_size = reader.count(answer.get("chunk_size"), "chunk_size")
        chunks = reader.count(answer.get("total_chunks"), "total_chunks")
        if (
            not upload_id or not asset_id or not chunk_size
            or size > chunk_size * _MOST_CHUNKS or chunks not in (None, -(-size // chunk_size))
        ):  # fmt: skip
            raise OutcomeUnknown("the platform's answer holds no upload session")
        return UploadSession(
            upload_id,
            asset_id,
            chunk_size,
            self._headers(answer.get("upload_headers")),
            self._urls(answer),
            reader.instant(answer.get("expires_at"), "expires_at"),
        )

    async def report_chunks(self, upload_id: str, proofs: Sequence[ChunkProof]) -> int | None:
        """Report up to 50 chunks that the storage has; how many are known now, None if it is not told.

        Reporting a chunk again is harmless.
        """
        chunks = [
            {"chunk_index": proof.index, "proof": proof.etag, "proof_type": "etag", "chunk_size": proof.size}
            for proof in proofs
        ]
        answer = await self._post("report_chunks", f"{_PATH}/{escaped(upload_id)}", {"completed_chunks": chunks})
        return self._reader.count(answer.get("total_completed"), "total_completed")

    async def fresh_urls(self, upload_id: str, start: int, count: int) -> tuple[ChunkUrl, ...]:
        """New URLs for up to 50 chunks from `start` on; for those that were reported there may be none."""
        path = f"{_PATH}/{escaped(upload_id)}/presigned-urls"
        return self._urls(await self._post("fresh_urls", path, {"start": start, "count": count}))

    async def upload_status(self, upload_id: str, chunks: int) -> UploadStatus:
        """The session and which of its `chunks` were reported, read page by page. `NotFound` when it is gone."""
        path = f"{_PATH}/{escaped(upload_id)}"
        status: str | None = None
        completed: set[int] = set()
        for number in range(1, -(-chunks // PAGE_LIMIT) + 1):
            query = [("page", str(number)), ("page_limit", str(PAGE_LIMIT))]
            answer = await self._ask(self._read_call("upload_status", path, query, max_bytes=MAX_PAGE_BYTES))
            status = status or self._reader.short_text(answer.get("status"), "status")
            rows = answer.get("uploaded_chunks")
            if status is None:
                raise OutcomeUnknown("the platform's answer holds no upload session")
            if status != "active" or not isinstance(rows, list):
                return UploadStatus(status, None)
            completed |= self._completed(rows)
            if not rows:
                break
        return UploadStatus(status or "", frozenset(index for index in completed if 1 <= index <= chunks))

    async def _post(self, operation: str, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        call = Call(
            operation=operation,
            method="POST",
            path=path,
            category="upload",
            read_seconds=self._settings.read_timeout_seconds,
            headers={"content-type": "application/json"},
            content=json_call(body),
        )
        return await self._ask(call)

    def _completed(self, rows: Sequence[object]) -> set[int]:
        found = set()
        for row in rows:
            if isinstance(row, dict) and row.get("status") == "completed":
                index = self._reader.count(row.get("index"), "uploaded_chunks.index")
                if index is not None:
                    found.add(index)
        return found

    def _urls(self, answer: Mapping[str, Any]) -> tuple[ChunkUrl, ...]:
        rows = answer.get("upload_urls")
        found = []
        for row in rows if isinstance(rows, list) else ():
            if not isinstance(row, dict):
                continue
            index = self._reader.count(row.get("chunk_index"), "upload_urls.chunk_index")
            url = row.get("url")
            if index and isinstance(url, str) and self._usable(url):
                found.append(
                    ChunkUrl(index, url, self._reader.instant(row.get("expires_at"), "upload_urls.expires_at"))
                )
        return tuple(found)

    def _usable(self, url: str) -> bool:
        """A video that is sent to the platform encrypted is not sent to its storage in clear."""
        schemes = ("https",) if self._settings.base_url.startswith("https:") else ("https", "http")
        try:
            parts = urlsplit(url)
            return len(url) <= _LONGEST_URL and url.isprintable() and parts.scheme in schemes and bool(parts.hostname)
        except ValueError:
            return False

    def _headers(self, given: object) -> dict[str, str]:
        """The headers that an HTTP request can hold, and that are not ours to set."""
        if not isinstance(given, dict):
            return {}
        return {
            name: value
            for name, value in list(given.items())[:_MOST_HEADERS]
            if _is_header_text(name) and _is_header_text(value) and name.lower() not in _OURS
        }


def _is_header_text(text: object) -> bool:
    return isinstance(text, str) and text.isascii() and text.isprintable() and 0 < len(text) <= _LONGEST_HEADER
