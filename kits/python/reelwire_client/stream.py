"""One request, as a program follows it: live text with its restarts, progress, and the end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

from reelwire_client.changes import Change, Ended, Forgotten, Progressed, Repeated, Restarted, StreamId, TextAdded
from reelwire_client.errors import RequestCanceled, RequestFailed
from reelwire_client.events import Completed, Completion, Progress
from reelwire_client.records import Place


@dataclass(frozen=True, slots=True)
class Text:
    """Text that goes behind what was shown."""

    text: str


@dataclass(frozen=True, slots=True)
class Restart:
    """Erase what was shown: the text begins again, in attempt `attempt`."""

    attempt: int


class RequestStream:
    """Iterate over it for `Text` and `Restart`; the iteration ends with the request.

    Any number of iterations may run, each sees all of the text. A slow one holds up nobody: it gets what came in
    the meantime as one piece, and of several restarts the last. Made by `Client`.
    """

    def __init__(self, request_id: str, run: int | None, partition: int | None) -> None:
        self.request_id = request_id
        self.run = run
        self.partition = partition
        self.place: Place | None = None
        """Where the request was written, if this client has sent it."""
        self.attempt = 0
        self.progress: Progress | None = None
        """The last thing that happened before the end."""
        self.completion: Completion | None = None
        self._pieces: list[str] = []
        self._restarts = 0
        self._fresh = False
        self._error: BaseException | None = None
        self._changed = asyncio.Event()

    def __repr__(self) -> str:
        if self._error is not None:
            condition = "not followed any longer"
        elif self.completion is not None:
            condition = self.completion["type"]
        else:
            condition = f"live, {sum(map(len, self._pieces))} characters"
        return f"<RequestStream {self.request_id}: {condition}>"

    @property
    def text(self) -> str:
        """The text since the last restart."""
        return "".join(self._pieces)

    @property
    def over(self) -> bool:
        """Whether nothing more comes."""
        return self.completion is not None or self._error is not None

    def __aiter__(self) -> AsyncIterator[Text | Restart]:
        return self._parts()

    async def _parts(self) -> AsyncIterator[Text | Restart]:
        restarts, shown = self._restarts, 0
        while True:
            changed = self._changed
            if restarts != self._restarts:
                restarts = self._restarts
                # A restart is only told to those who have something to erase.
                if shown:
                    shown = 0
                    yield Restart(self.attempt)
                continue
            if shown < len(self._pieces):
                piece, shown = "".join(self._pieces[shown:]), len(self._pieces)
                yield Text(piece)
                continue
            if self._error is not None:
                raise self._error
            if self.completion is not None:
                return
            await changed.wait()

    async def end(self) -> Completion:
        """Wait for the completion, whichever it is. Raises `RequestRefused` for a request in the dead letters."""
        while self.completion is None:
            if self._error is not None:
                raise self._error
            await self._changed.wait()
        return self.completion

    async def result(self) -> Completed:
        """Wait for the result. Raises `RequestFailed`, `RequestCanceled` or `RequestRefused`."""
        completion = await self.end()
        if completion["type"] == "failed":
            raise RequestFailed(completion)
        if completion["type"] == "canceled":
            raise RequestCanceled(completion)
        return completion

    def concerns(self, stream: StreamId, *, end: bool = False) -> bool:
        """Whether a change of this stream is one of ours. A run also ends when a later one does."""
        if stream.request_id != self.request_id or self.partition not in (None, stream.partition):
            return False
        return self.run is None or stream.run == self.run or (end and stream.run > self.run)

    def begin_with(self, text: str) -> None:
        """The text that was shown of the stream before this one was made. Called by the client."""
        if text:
            self._pieces.append(text)

    def apply(self, change: Change) -> None:
        """Take in one change. Called by the client."""
        match change:
            case TextAdded(stream, attempt, text):
                self._bind(stream)
                if self._fresh:
                    self._restart()
                self.attempt = attempt
                self._pieces.append(text)
            case Restarted(stream, attempt):
                self._bind(stream)
                self.attempt = attempt
                self._restart()
            case Forgotten():
                # What comes next begins again; until then the text stays.
                self._fresh = True
            case Progressed(stream, event):
                self._bind(stream)
                self.progress = event
            case Ended(stream, completion) | Repeated(stream, completion):
                self._end(stream, completion)
            case _:
                return
        self._wake()

    def fail(self, error: BaseException) -> None:
        """Nothing more comes, for this reason. Called by the client."""
        if not self.over:
            self._error = error
            self._wake()

    def _bind(self, stream: StreamId) -> None:
        self.partition, self.run = stream.partition, stream.run

    def _restart(self) -> None:
        self._restarts += 1
        self._pieces.clear()
        self._fresh = False

    def _end(self, stream: StreamId, completion: Completion) -> None:
        self._bind(stream)
        self.attempt = completion["attempt"]
        if completion["type"] == "completed" and self.text != completion["text"]:
            # The end of another run, or one that was published again: its text was not shown here.
            self._restart()
            self._pieces.append(completion["text"])
        self.completion = completion

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
