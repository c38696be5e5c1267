"""A multipart upload session: its chunks, and the URLs that take them. Its status is computed from the clock."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from service.clock import rfc3339
from service.emulator.refusals import Refusal


@dataclass(slots=True)
class Chunk:
    """A chunk that the storage has. It counts once it is reported."""

    etag: str
    """Without quotes."""
    size: int
    stored_at: float
    reported_at: float | None = None


@dataclass(slots=True)
class UploadSession:
    """One upload of one file, whose asset is reserved from the start. Indexes of chunks are counted from 1."""

    id: str
    asset_id: str
    total_size: int
    chunk_size: int
    created_at: float
    expires_at: float
    headers: dict[str, str]
    """What a PUT of a chunk has to bring."""
    secret: str
    """Signs the URLs of this session."""
    completed: bool = False
    chunks: dict[int, Chunk] = field(default_factory=dict)
    spent: set[str] = field(default_factory=set)
    """Nonces of URLs that have been used."""
    puts: Counter[int] = field(default_factory=Counter)
    resent: list[int] = field(default_factory=list)
    """Chunks that came once more although they had been reported."""

    @property
    def total_chunks(self) -> int:
        return -(-self.total_size // self.chunk_size)

    @property
    def reported(self) -> list[int]:
        """The chunks that count, in order."""
        return sorted(index for index, chunk in self.chunks.items() if chunk.reported_at is not None)

    def status(self, now: float) -> str:
        if self.completed:
            return "completed"
        return "active" if now < self.expires_at else "expired"

    def size_of(self, index: int) -> int:
        """The bytes that the chunk must have: the last one has the rest."""
        return min(self.chunk_size, self.total_size - (index - 1) * self.chunk_size)

    def has(self, index: int) -> bool:
        """Whether there is such a chunk in this session."""
        return 1 <= index <= self.total_chunks

    def url(self, root: str, index: int, expires_at: float) -> dict[str, Any]:
        """A URL that takes the chunk once."""
        nonce, until = secrets.token_hex(8), int(expires_at * 1000)
        address = f"{root}/_storage/{self.id}/{index}?expires={until}&nonce={nonce}"
        return {
            "chunk_index": index,
            "url": f"{address}&signature={self._signature(index, until, nonce)}",
            "expires_at": rfc3339(expires_at),
        }

    def check_url(self, index: int, query: dict[str, str], now: float) -> str:
        """The nonce of a URL that may be used; raises `Refusal` (403)."""
        until, nonce = query.get("expires", ""), query.get("nonce", "")
        whole = until.isascii() and until.isdigit() and len(until) < 16
        signature = query.get("signature", "").encode("utf-8", "replace")
        if not whole or not hmac.compare_digest(self._signature(index, int(until), nonce).encode(), signature):
            raise Refusal(403, "SignatureDoesNotMatch", "The signature of this URL is wrong.")
        if now * 1000 >= int(until):
            raise Refusal(403, "AccessDenied", "Request has expired.")
        if nonce in self.spent:
            raise Refusal(403, "AccessDenied", "This URL has been used.")
        if self.status(now) != "active":
            raise Refusal(403, "AccessDenied", "The upload is not active.")
        return nonce

    def chunk_info(self, index: int) -> dict[str, Any]:
        """The chunk as the status of the session shows it."""
        chunk = self.chunks.get(index)
        reported_at = chunk.reported_at if chunk is not None else None
        return {
            "index": index,
            "status": "pending" if reported_at is None else "completed",
            "uploaded_at": None if reported_at is None else rfc3339(reported_at),
            "updated_at": rfc3339(self.created_at if chunk is None else reported_at or chunk.stored_at),
        }

    def summary(self, now: float) -> dict[str, Any]:
        """The session as the list of unfinished ones shows it."""
        return {
            "upload_id": self.id,
            "status": self.status(now),
            "total_size": self.total_size,
            "chunk_size": self.chunk_size,
            "total_chunks": self.total_chunks,
            "created_at": rfc3339(self.created_at),
            "expires_at": rfc3339(self.expires_at),
        }

    def _signature(self, index: int, until: int, nonce: str) -> str:
        named = f"{self.id}/{index}/{until}/{nonce}".encode("utf-8", "replace")
        return hmac.new(self.secret.encode(), named, hashlib.sha256).hexdigest()
