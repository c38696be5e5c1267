"""One open stream: what it is still to be sent, within bounds. A viewer that reads slowly keeps nobody waiting."""

from __future__ import annotations

import asyncio
from collections import deque

from service.console.live.messages import Message
from service.console.model.cursor import Cursor

MOST_MESSAGES = 256
MOST_BYTES = 1024 * 1024


class Viewer:
    """`offer` from the hub's side never blocks; `take` from the stream's side waits.

    When more is offered than the queue holds, all of it is let go of, and `behind` says so until `caught_up`.
    """

    def __init__(self, *, most_messages: int = MOST_MESSAGES, most_bytes: int = MOST_BYTES) -> None:
        self._most_messages, self._most_bytes = most_messages, most_bytes
        self._queue: deque[Message] = deque()
        self._bytes = 0
        self._news = asyncio.Event()
        self.behind = False
        self.closed = False
        self.lost = False
        """What was told is void."""
        self.sent: Cursor | None = None
        """Where the viewer is, by the last message that was handed to it."""

    def __repr__(self) -> str:
        state = "closed" if self.closed else "behind" if self.behind else "in time"
        return f"<Viewer {state}: {len(self._queue)} messages, {self._bytes} bytes>"

    def offer(self, message: Message) -> None:
        """Queue a message; the same object for all viewers."""
        if self.behind or self.closed:
            return
        self._queue.append(message)
        self._bytes += len(message.data)
        if len(self._queue) > self._most_messages or (self._bytes > self._most_bytes and len(self._queue) > 1):
            self._queue.clear()
            self._bytes = 0
            self.behind = True
        self._news.set()

    async def take(self, seconds: float) -> list[Message]:
        """Everything that is queued; waits for at most `seconds`. Empty as well when the viewer is behind or closed."""
        if not self._queue and not self.behind and not self.closed:
            try:
                async with asyncio.timeout(seconds):
                    await self._news.wait()
            except TimeoutError:
                return []
        self._news.clear()
        messages = list(self._queue)
        self._queue.clear()
        self._bytes = 0
        return messages

    def caught_up(self) -> None:
        """What was let go of has been made good for."""
        self.behind = False

    def lose(self) -> None:
        """What the viewer was told is void: it has to read the whole anew."""
        self._queue.clear()
        self._bytes = 0
        self.behind = self.lost = True
        self._news.set()

    def close(self) -> None:
        """End the stream: the console stops."""
        self.closed = True
        self._news.set()
