"""All upload sessions of an emulator, and the files that their chunks are written to."""

from __future__ import annotations

import asyncio
import hashlib
import os
import secrets
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from service.clock import Clock
from service.emulator.media.spool import Spooled
from service.emulator.model.asset_book import AssetBook
from service.emulator.model.assets import Asset
from service.emulator.model.journal import Journal
from service.emulator.model.uploads.session import Chunk, UploadSession
from service.emulator.refusals import invalid, unknown

DEMANDED = {"Content-Type": "application/octet-stream"}


@dataclass(frozen=True, slots=True)
class Proof:
    """A client's word that the storage has a chunk. `proof` is the ETag, quoted or bare."""

    index: int
    proof: str
    size: int | None


class UploadBook:
    """Sessions by id, oldest first. With a state directory, unfinished ones outlive a restart with their chunks."""

    def __init__(self, clock: Clock, assets: AssetBook, journal: Journal) -> None:
        self._clock = clock
        self._assets = assets
        self._journal = journal
        self._directory = Path()
        self._sessions: dict[str, UploadSession] = {}
        self.storage: Counter[str] = Counter(puts=0, bytes=0, refused=0, with_api_key=0)
        """What came to the storage. A PUT that shows an API key is a fault of its client."""

    def open(self, directory: Path) -> None:
        """Name the directory of the files; it must exist."""
        self._directory = directory

    def all(self) -> Sequence[UploadSession]:
        """Oldest first."""
        return list(self._sessions.values())

    def get(self, upload_id: str) -> UploadSession:
        """Look up a session; raises `Refusal`."""
        found = self._sessions.get(upload_id)
        if found is None:
            raise unknown("upload", upload_id)
        return found

    async def create(
        self, asset: Asset, total_size: int, *, chunk_size: int, lasts_seconds: float, enforced: bool
    ) -> UploadSession:
        """Reserve the asset and begin. `enforced`: the storage will demand more headers than every client sends."""
        upload_id = secrets.token_hex(12)
        session = UploadSession(
            id=upload_id,
            asset_id=asset.id,
            total_size=total_size,
            chunk_size=chunk_size,
            created_at=asset.created_at,
            expires_at=asset.created_at + lasts_seconds,
            headers=DEMANDED | ({"x-upload-session": upload_id} if enforced else {}),
            secret=secrets.token_hex(16),
        )
        await asyncio.to_thread(self._reserve, session)
        self._assets.reserve(asset)
        self._sessions[session.id] = session
        self._journal.write(
            "upload",
            id=session.id,
            asset_id=session.asset_id,
            total_size=total_size,
            chunk_size=chunk_size,
            created_at=session.created_at,
            expires_at=session.expires_at,
            headers=session.headers,
            secret=session.secret,
        )
        return session

    async def write(self, session: UploadSession, index: int, offset: int, data: bytes) -> None:
        """Write bytes of a chunk, `offset` counted within it."""
        place = (index - 1) * session.chunk_size + offset
        await asyncio.to_thread(_write, self._path(session), place, data)

    def stored(self, session: UploadSession, index: int, nonce: str, etag: str) -> None:
        """A chunk has come whole: its URL is spent, and it may be reported."""
        session.spent.add(nonce)
        session.puts[index] += 1
        before = session.chunks.get(index)
        if before is not None and before.reported_at is not None:
            session.resent.append(index)
            return  # it counts as it was reported
        size, now = session.size_of(index), self._clock.time()
        session.chunks[index] = Chunk(etag, size, now)
        self._journal.write("upload_chunk", id=session.id, index=index, nonce=nonce, etag=etag, size=size, at=now)

    def report(self, session: UploadSession, proofs: Sequence[Proof]) -> tuple[int, int]:
        """Count chunks as uploaded; how many are new, and how many were known. Raises `Refusal`: then none counts."""
        for number, proof in enumerate(proofs):
            chunk = session.chunks.get(proof.index)
            named = f"completed_chunks[{number}]"
            if chunk is None:
                raise invalid(f"The {named}.chunk_index parameter is invalid: chunk {proof.index} was not uploaded.")
            if proof.proof.strip('"') != chunk.etag:
                raise invalid(f"The {named}.proof parameter is not the ETag of chunk {proof.index}.")
            if proof.size is not None and proof.size != chunk.size:
                raise invalid(f"The {named}.chunk_size parameter is not the size of chunk {proof.index}.")
        new = {proof.index for proof in proofs if session.chunks[proof.index].reported_at is None}
        if new:
            now = self._clock.time()
            for index in new:
                session.chunks[index].reported_at = now
            self._journal.write("upload_report", id=session.id, indexes=sorted(new), at=now)
        if new and len(session.reported) == session.total_chunks:
            self._complete(session)
        return len(new), len(proofs) - len(new)

    def as_json(self) -> list[dict[str, Any]]:
        """For the admin endpoint: what came to each session."""
        now = self._clock.time()
        return [
            {
                "upload_id": session.id,
                "asset_id": session.asset_id,
                "status": session.status(now),
                "total_chunks": session.total_chunks,
                "puts": sum(session.puts.values()),
                "reported": len(session.reported),
                "resent": session.resent,
            }
            for session in self.all()
        ]

    def restored(self, kind: str, fact: dict[str, Any]) -> None:
        """Take over a fact of an earlier run."""
        if kind == "upload":
            session = UploadSession(**fact)
            self._sessions[session.id] = session
            return
        session = self._sessions[fact["id"]]
        match kind:
            case "upload_chunk":
                session.spent.add(fact["nonce"])
                session.puts[fact["index"]] += 1
                session.chunks[fact["index"]] = Chunk(fact["etag"], fact["size"], fact["at"])
            case "upload_report":
                for index in fact["indexes"]:
                    session.chunks[index].reported_at = fact["at"]
            case "upload_completed":
                session.completed = True

    def settle_restored(self) -> None:
        """After the whole journal was read: what was reported whole is put together again."""
        for session in self.all():
            if not session.completed and len(session.reported) == session.total_chunks:
                self._complete(session)

    def _complete(self, session: UploadSession) -> None:
        session.completed = True
        self._assets.fill(session.asset_id, lambda: self._whole(session))

    async def _whole(self, session: UploadSession) -> Spooled:
        path = self._path(session)
        spooled = Spooled(path, await asyncio.to_thread(_digest, path), session.total_size)
        self._journal.write("upload_completed", id=session.id)
        return spooled

    def _reserve(self, session: UploadSession) -> None:
        with self._path(session).open("wb") as file:
            file.truncate(session.total_size)

    def _path(self, session: UploadSession) -> Path:
        return self._directory / f"{session.id}.part"


def _write(path: Path, place: int, data: bytes) -> None:
    with path.open("r+b", buffering=0) as file:
        os.pwrite(file.fileno(), data, place)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
