"""Threads for calls of a file system that may never return: a network mount whose server is gone.

Such a call can't be ended. Its thread is left behind, as a daemon, so that the process can exit; calls that hang are
counted per mount and per directory, and beyond a few of them the next calls fail at once instead of hanging too. Each
mount below an allowed root has threads of its own, and so has the rest of the root: a dead one takes none from the
others.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from time import monotonic
from typing import Any, TypeVar

from service.footage.errors import SourceSilent

T = TypeVar("T")

AT_ONCE = 8
"""Calls of one mount that run at the same time, those that hang not counted."""
MOST_HUNG = 8
"""Hanging calls of one mount beyond which it is taken for dead."""
MOST_HUNG_IN_DIRECTORY = 2
"""The same for one directory: a file system that joins several servers may be dead in a part."""
IDLE_SECONDS = 60.0
"""A thread ends when it had nothing to do for this long."""


class _Call:
    """One call of the file system; `left` is called once if nobody takes its result."""

    __slots__ = ("directory", "future", "left", "nobody_waits", "over_at", "seconds", "work")

    def __init__(
        self, directory: str, seconds: float, work: Callable[[], Any], left: Callable[[Any], None] | None = None
    ) -> None:
        self.directory = directory
        self.seconds = seconds
        self.work = work
        self.left = left
        self.future: Future[Any] = Future()
        self.nobody_waits = False
        self.over_at = float("inf")  # from then on it counts as hanging; set when it begins


class FileThreads:
    """The threads of one mount, or of a root without the mounts below it.

    Used from one event loop at a time; everything shared is behind the lock.
    """

    def __init__(self, mount: str) -> None:
        self._mount = mount
        self._lock = threading.Condition()
        self._queue: deque[_Call] = deque()
        self._running: set[_Call] = set()
        self._idle = 0

    def __repr__(self) -> str:
        return f"<FileThreads {self._mount}: {len(self._running)} running, {self.hung()} hanging>"

    def hung(self, directory: str | None = None) -> int:
        """How many calls have run for longer than they were given, in one directory or all."""
        now = monotonic()
        with self._lock:
            return sum(
                call.over_at <= now and (directory is None or call.directory == directory) for call in self._running
            )

    async def run(
        self,
        directory: str,
        seconds: float,
        work: Callable[[], T],
        *,
        left: Callable[[T | None], None] | None = None,
    ) -> T:
        """What `work` returns or raises; `SourceSilent` when it takes longer than `seconds`, waiting included.

        `left` is called in a thread when the caller has gone before it was given the result: with the result, or None
        if there is none. It closes what nobody else will.
        """
        if self.hung() >= MOST_HUNG or self.hung(directory) >= MOST_HUNG_IN_DIRECTORY:
            if left is not None:
                self._begin(_Call(directory, seconds, lambda: left(None)))
            raise SourceSilent(f"files below {self._mount} can't be read: earlier calls of the file system still hang")
        call = _Call(directory, seconds, work, left)
        self._begin(call)
        waiting: asyncio.Future[T] = asyncio.wrap_future(call.future)
        try:
            done, _ = await asyncio.wait({waiting}, timeout=seconds)
        except BaseException:
            self._leave(call)
            waiting.cancel()
            raise
        if not done:
            self._leave(call, hangs=True)
            waiting.cancel()
            raise SourceSilent(f"files below {self._mount} can't be read: no answer within {seconds:g} s")
        return waiting.result()

    def begin(self, directory: str, seconds: float, work: Callable[[], None]) -> None:
        """Have `work` done without waiting for it; what it raises is dropped."""
        self._begin(_Call(directory, seconds, work))

    def _begin(self, call: _Call) -> None:
        with self._lock:
            self._queue.append(call)
            self._staff()
            self._lock.notify()

    def _staff(self) -> None:
        """Start a thread if work waits that nobody will take soon. The lock is held."""
        now = monotonic()
        busy = sum(call.over_at > now for call in self._running)
        hung = len(self._running) - busy
        if len(self._queue) > self._idle and busy + self._idle < AT_ONCE and hung < MOST_HUNG:
            self._idle += 1
            threading.Thread(target=self._serve, name=f"files of {self._mount}", daemon=True).start()

    def _leave(self, call: _Call, *, hangs: bool = False) -> None:
        """Nobody waits for this call any more."""
        with self._lock:
            call.nobody_waits = True
            finished = not call.future.cancel() and call.future.done()
            if hangs and not finished:
                call.over_at = min(call.over_at, monotonic())
                self._staff()  # its thread may be lost, and those that wait need another
        if finished and call.left is not None:
            left = call.left
            result = None if call.future.exception() else call.future.result()
            self._begin(_Call(call.directory, call.seconds, lambda: left(result)))

    def _serve(self) -> None:
        """A thread: one call after the other, until there are more threads than are needed."""
        while True:
            with self._lock:
                while not self._queue:
                    if self._idle > AT_ONCE:
                        self._idle -= 1
                        return
                    if not self._lock.wait(IDLE_SECONDS) and not self._queue:
                        self._idle -= 1
                        return
                call = self._queue.popleft()
                self._idle -= 1
                call.over_at = monotonic() + call.seconds
                self._running.add(call)
            self._perform(call)
            with self._lock:
                self._running.discard(call)
                self._idle += 1

    def _perform(self, call: _Call) -> None:
        result: Any = None
        error: BaseException | None = None
        if call.future.set_running_or_notify_cancel():
            try:
                result = call.work()
            except BaseException as raised:  # noqa: BLE001 - handed to the caller
                error = raised
        with self._lock:
            nobody_waits = call.nobody_waits
            if not call.future.cancelled():
                if error is not None:
                    call.future.set_exception(error)
                else:
                    call.future.set_result(result)
        if nobody_waits and call.left is not None:
            call.left(result)


_threads: dict[str, FileThreads] = {}


def threads_of(mount: str) -> FileThreads:
    """The threads of a mount point or a root, made at its first use and kept as long as the process."""
    return _threads.setdefault(mount, FileThreads(mount))
