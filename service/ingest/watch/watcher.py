"""The task that looks at a watched folder and sends a request for each file that is complete."""

from __future__ import annotations

import asyncio
import math
import os
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Literal

import structlog

from service.clock import Clock
from service.errors import PartitionError
from service.footage.errors import SourceError
from service.footage.names import escaped
from service.ingest.judging import Incoming
from service.ingest.log.active import Active
from service.ingest.log.note import Note
from service.ingest.memory import digest_of
from service.ingest.notifications.arrival import Arrival
from service.ingest.watch.folder import FileState, Folder
from service.ingest.watch.reading import files_below, is_being_written
from service.settings import Settings
from service.supervision import Report
from service.telemetry.events import LogEvent
from service.telemetry.ingest_metrics import IngestMetrics
from service.words import in_words

log = structlog.get_logger()

Existing = Literal["send", "skip"]
ActiveNow = Callable[[], Awaitable[Active]]
"""Waits until this process is the one that works."""

_NOTE_MS = 300_000
_BATCH = 200


class Watcher:
    """One per process. `run` looks for ever, while the process is the one that works."""

    def __init__(
        self,
        settings: Settings,
        root: str,
        existing: Existing,
        active: ActiveNow,
        own: IngestMetrics,
        clock: Clock,
        report: Report,
    ) -> None:
        self._settings = settings
        self._root = root
        self._name = digest_of(root).hex()
        self._existing = existing
        self._active = active
        self._own = own
        self._clock = clock
        self._report = report
        self._refused: str | None = None
        self._unusable: set[str] = set()

    async def run(self) -> None:
        """Look again and again. A new `Active` means that others may have sent files meanwhile: it begins anew."""
        while True:
            active = await self._active()
            try:
                await self._watch(active)
            except PartitionError as error:
                # The reader of topics says it, and makes a new one.
                log.debug(LogEvent.INGEST_INTERRUPTED, reason=in_words(error))
                await asyncio.sleep(self._settings.ingest.scan_seconds)

    async def _watch(self, active: Active) -> None:
        settings = self._settings.ingest
        folder: Folder | None = None
        while not active.dead:
            looked_ms = int(self._clock.time() * 1000)
            files = await self._files()
            if files is not None:
                if folder is None:
                    folder = await self._begin(active, files, looked_ms)
                await self._send(active, folder, files)
                if files:  # a mount that is away shows an empty folder: nothing of it was looked at
                    await self._note(active, folder, looked_ms)
                self._own.files.labels("waiting").set(folder.waiting)
                self._own.files.labels("done").set(folder.finished)
            await asyncio.sleep(settings.scan_seconds)

    async def _files(self) -> dict[str, FileState] | None:
        """What is there; None while the folder can't be read."""
        try:
            files, unusable = await files_below(self._root, seconds=self._settings.sources.file_timeout_seconds)
        except (OSError, SourceError) as error:
            reason = in_words(error)
            if reason != self._refused:
                self._refused = reason
                log.warning(LogEvent.FOLDER_UNREADABLE, folder=self._root, reason=reason)
            self._report("folder", ok=False, detail=f"{self._root} can't be read: {reason}")
            return None
        self._refused = None
        self._tell_unusable(set(unusable))
        self._report("folder", ok=True, detail=f"{len(files)} files")
        return files

    def _tell_unusable(self, unusable: set[str]) -> None:
        """Say once of each name that it can't be used; one line for all that are new in this look."""
        new = unusable - self._unusable
        self._unusable = unusable
        self._own.files.labels("unusable_name").set(len(unusable))
        if new:
            name = escaped(min(new))
            log.warning(LogEvent.FILE_NAME_UNUSABLE, folder=self._root, name=name, new=len(new), all=len(unusable))

    async def _begin(self, active: Active, files: dict[str, FileState], looked_ms: int) -> Folder:
        """Where the last process ended; or at the very first start, with all files or with none."""
        note = active.note
        if note.folder != self._name or note.folder_from_ms is None or note.folder_until_ms is None:
            skip = self._existing == "skip"
            history_ns = math.inf if skip else 0.0
            await active.take([], note=Note(note.at_ms, self._name, looked_ms if skip else 0, looked_ms if skip else 0))
        else:
            # Files that came since are looked up in the memory, which reaches as far back.
            window_ms = self._settings.ingest.remember_hours * 3_600_000
            history_ns = 1e6 * max(note.folder_from_ms, note.folder_until_ms - window_ms)
        folder = Folder(quiet_seconds=self._settings.ingest.quiet_seconds, history_ns=history_ns)
        folder.look(files, self._clock.monotonic())
        log.info(LogEvent.FOLDER_SCANNED, folder=self._root, files=len(files), passed_over=folder.finished)
        return folder

    async def _send(self, active: Active, folder: Folder, files: dict[str, FileState]) -> None:
        now = self._clock.monotonic()
        complete: list[str] = []
        for name in folder.look(files, now):
            path = self._path(name)
            try:
                limit = self._settings.sources.file_timeout_seconds
                written = await is_being_written(path, self._root, seconds=limit)
            except SourceError:
                return  # the file system does not answer; the next look says so
            if written:
                folder.again(name, now)
            else:
                complete.append(name)
        for begin in range(0, len(complete), _BATCH):
            names = complete[begin : begin + _BATCH]
            await active.take([Incoming([self._arrival(name, files[name])]) for name in names])
            for name in names:
                folder.done(name)

    async def _note(self, active: Active, folder: Folder, looked_ms: int) -> None:
        """From time to time, also while nothing comes: what was looked at until when."""
        oldest = folder.oldest_waiting_ns()
        until = looked_ms if oldest is None else min(looked_ms, oldest // 1_000_000)
        if until - (active.note.folder_until_ms or 0) >= _NOTE_MS:
            await active.take([], note=replace(active.note, folder_until_ms=until))

    def _path(self, name: str) -> str:
        return os.path.join(self._root, name)  # noqa: PTH118 - text only

    def _arrival(self, name: str, state: FileState) -> Arrival:
        return Arrival(
            "file",
            "",
            name,
            version=f"{state.size}-{state.mtime_ns}",
            versioned=True,
            size=state.size,
            event_at=state.mtime_ns / 1e9,
            path=self._path(name),
        )
