"""Worker processes that look into files, started when needed, reused, and replaced when a file kills them."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import suppress
from importlib.util import find_spec
from typing import Any

import orjson

from service.emulator.media.footage import Footage, InspectionTooLong, UnreadableFootage, footage_from

if find_spec("av") is None:  # it is imported in the workers only; say so before the first of them fails
    raise ModuleNotFoundError("No module named 'av'", name="av")

_WORKER = "service.emulator.media.worker"
_ANSWER_BYTES = 1024 * 1024
_TRIES = 2
_DYING_SECONDS = 5.0
"""What a worker has for its end after its last words: the kernel closes its pipes some time before it can be reaped."""
_JOBS_OF_ONE_WORKER = 200
"""Then it is replaced, so that what a decoder leaks does not add up."""


def _environment() -> dict[str, str]:
    """What Python and its libraries need, and nothing more: a file that takes over the decoder finds no secrets."""
    kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH", "LANG") if name in os.environ}
    return kept | {"PYTHONPATH": os.pathsep.join(item for item in sys.path if item)}


class _WorkerDied(Exception):
    """The worker ended without an answer."""


class _WorkerTooSlow(Exception):
    """The worker was ended because its time was over: by our clock, or by its limit of processor time."""


class _Worker:
    """One process. After an error it is of no more use."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.jobs = 0

    @classmethod
    async def start(cls) -> _Worker:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            _WORKER,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            limit=_ANSWER_BYTES,
            start_new_session=True,  # Ctrl-C is for the emulator, which ends its workers itself
            env=_environment(),
        )
        return cls(process)

    async def ask(self, job: dict[str, Any]) -> dict[str, Any]:
        """Raises `_WorkerDied`."""
        self.jobs += 1
        stdin, stdout = self._process.stdin, self._process.stdout
        if stdin is None or stdout is None:
            raise _WorkerDied
        try:
            stdin.write(orjson.dumps(job) + b"\n")
            await stdin.drain()
            line = await stdout.readline()
            answer: dict[str, Any] = orjson.loads(line)
        except (ConnectionError, ValueError):  # ValueError: the answer is too long, cut off or missing
            raise _WorkerDied from None
        return answer

    async def end(self, *, patience_seconds: float = 0) -> int:
        """Kill and reap it; returns its exit status, negative for a signal.

        A worker that is ending by itself gets `patience_seconds` for it. `Process.kill` looks whether the process
        still lives, and so reaps one that has just ended before asyncio does: asyncio then knows no status but 255.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(patience_seconds):
                await self._process.wait()
        with suppress(ProcessLookupError):
            self._process.kill()
        status = await self._process.wait()
        # Closing the pipe by hand: the transport would otherwise warn when it is collected after the loop's end.
        if self._process.stdin is not None:
            self._process.stdin.close()
        return status


class Inspectors:
    """At most `count` workers at a time. Belongs to one event loop; `close` it there."""

    def __init__(self, count: int, wall_seconds: float) -> None:
        self._slots = asyncio.Semaphore(count)
        self._wall_seconds = wall_seconds
        self._idle: list[_Worker] = []
        self.lost = 0
        """Workers that a file has killed or that took too long."""

    async def inspect(self, path: str, sha256: str) -> Footage:
        """Look into a file; ends within the limits whatever the file holds. Raises `UnreadableFootage`.

        A worker that dies may have been harmed by an earlier file, so the file is tried again in a new one. The file is
        blamed (by another error than `InspectionTooLong`) only when each worker has crashed.
        """
        too_slow = False
        async with self._slots:
            for _ in range(_TRIES):
                try:
                    return await self._once({"path": path, "sha256": sha256})
                except _WorkerTooSlow:
                    too_slow = True
                except _WorkerDied:
                    pass
                self.lost += 1
                await self._discard_idle()
        if too_slow:
            raise InspectionTooLong("The file could not be decoded in time; on a less busy machine it may be.")
        raise UnreadableFootage("The file could not be decoded: the decoder crashed.")

    async def close(self) -> None:
        """End all idle workers. Those at work end when their job is canceled."""
        await self._discard_idle()

    async def _once(self, job: dict[str, Any]) -> Footage:
        worker = self._idle.pop() if self._idle else await _Worker.start()
        kept = False
        status = None
        try:
            async with asyncio.timeout(self._wall_seconds):
                answer = await worker.ask(job)
            if kept := worker.jobs < _JOBS_OF_ONE_WORKER:
                self._idle.append(worker)
        except TimeoutError:
            raise _WorkerTooSlow from None
        except _WorkerDied:
            status = await worker.end(patience_seconds=_DYING_SECONDS)
            if status == -signal.SIGXCPU:
                raise _WorkerTooSlow from None
            raise
        finally:
            if not kept and status is None:
                await worker.end()
        if "footage" not in answer:
            raise UnreadableFootage(str(answer.get("reason")))
        return footage_from(answer["footage"])

    async def _discard_idle(self) -> None:
        idle, self._idle = self._idle, []
        for worker in idle:
            await worker.end()
