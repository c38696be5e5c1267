"""A `reelwire` command in its own process, with its log in a file. Tests can stop, freeze and kill it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import aiohttp
import orjson

from service.sandbox.errors import ProgramError
from service.sandbox.lifetime import Startable

_GUARD = Path(__file__).with_name("guard.py")
PID_FILE = "REELWIRE_GUARD_PID_FILE"
_CHECK_SECONDS = 0.02
_PID_SECONDS = 10.0
_TAIL_LINES = 20


class Program(Startable):
    """`reelwire ARGUMENTS`, with `environment` added to this process's own. It ends with the process that started it.

    With `module` it is `python -m MODULE ARGUMENTS` instead; benchmarks use this. With `python` it is run by another
    interpreter, that of an earlier version; its package is then the one installed there, wherever we were started.

    Signals go to the command itself, not to its guard. While it runs, the file beside the log, with the ending
    `.pid`, holds its process id.
    """

    def __init__(
        self,
        name: str,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        log_file: Path,
        *,
        module: str = "service.cli",
        python: Path | None = None,
    ) -> None:
        self.name = name
        self.log_file = log_file
        self._python = [sys.executable] if python is None else [str(python), "-P"]
        self._command = ["-m", module, *arguments]
        self._environment = dict(environment)
        self._guard: subprocess.Popen[bytes] | None = None
        self._pid: int | None = None

    def __repr__(self) -> str:
        return f"<Program {self.name}: {'pid ' + str(self._pid) if self.running else 'not running'}>"

    @property
    def running(self) -> bool:
        """Whether the command is alive (stopped by a signal counts as alive)."""
        return self._guard is not None and self._guard.poll() is None

    @property
    def pid(self) -> int:
        """The command's own process id."""
        if self._pid is None:
            raise ProgramError(f"{self.name} has not been started")
        return self._pid

    @property
    def _pid_file(self) -> Path:
        return self.log_file.with_suffix(".pid")

    @property
    def frozen(self) -> bool:
        """Whether the command is stopped by a signal (SIGSTOP)."""
        return Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"

    async def start(self, **environment: str) -> None:
        """Start it, with more `environment` for this start only. Does not wait until it is ready."""
        if self.running:
            raise ProgramError(f"{self.name} is running already")
        self.log_file.parent.mkdir(parents=True, exist_ok=True)
        with self.log_file.open("ab") as log:
            pid_file = self._pid_file
            pid_file.unlink(missing_ok=True)
            self._guard = subprocess.Popen(
                [sys.executable, "-I", "-S", str(_GUARD), *self._python, *self._command],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env={**os.environ, **self._environment, **environment, PID_FILE: str(pid_file)},
            )
        async with asyncio.timeout(_PID_SECONDS):
            while not pid_file.exists() and self._guard.poll() is None:
                await asyncio.sleep(_CHECK_SECONDS)
        if not pid_file.exists():
            raise ProgramError(f"{self.name} ended at once\n{self.tail()}")
        self._pid = int(pid_file.read_text())

    async def ready(self, url: str, *, seconds: float = 60) -> None:
        """Wait until `url` answers 200; raises `ProgramError` with the end of its log when it does not."""
        async with aiohttp.ClientSession() as session:
            loop = asyncio.get_running_loop()
            end = loop.time() + seconds
            while self.running and loop.time() < end:
                with contextlib.suppress(aiohttp.ClientError, ConnectionError, TimeoutError):
                    async with session.get(url, timeout=aiohttp.ClientTimeout(5)) as response:
                        if response.status == 200:
                            return
                await asyncio.sleep(_CHECK_SECONDS)
        condition = f"is not ready after {seconds:g} s" if self.running else "has ended"
        raise ProgramError(f"{self.name} {condition}; the end of its log:\n{self.tail()}")

    async def stopped_itself(self, *, seconds: float = 60) -> None:
        """Wait until the command has stopped itself (SIGSTOP, as a failpoint does)."""
        try:
            async with asyncio.timeout(seconds):
                while True:
                    if not self.running:
                        raise ProgramError(f"{self.name} has ended; the end of its log:\n{self.tail()}")
                    if self.frozen:
                        return
                    await asyncio.sleep(_CHECK_SECONDS)
        except TimeoutError:
            raise ProgramError(f"{self.name} did not stop within {seconds:g} s\n{self.tail()}") from None

    def send(self, what: signal.Signals) -> None:
        """Send a signal to the command."""
        os.kill(self.pid, what)

    async def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        if self.running:
            with contextlib.suppress(ProcessLookupError):
                self.send(signal.SIGKILL)
        await self.ended()

    async def stop(self, *, seconds: float = 60) -> int:
        """Send SIGTERM and return the exit code. After `seconds`, SIGKILL and `ProgramError`."""
        if not self.running:
            return await self.ended()
        with contextlib.suppress(ProcessLookupError):
            self.send(signal.SIGTERM)
            self.send(signal.SIGCONT)
        try:
            async with asyncio.timeout(seconds):
                return await self.ended()
        except TimeoutError:
            await self.kill()
            raise ProgramError(f"{self.name} did not stop within {seconds:g} s\n{self.tail()}") from None

    async def ended(self) -> int:
        """Wait for its end; returns the exit code."""
        while self._guard is not None and self._guard.poll() is None:
            await asyncio.sleep(_CHECK_SECONDS)
        if self._guard is not None and self._guard.stdin is not None:
            self._guard.stdin.close()
        self._pid_file.unlink(missing_ok=True)  # a guard that was killed has left it
        return 0 if self._guard is None else int(self._guard.returncode)

    def said(self, event: str) -> list[dict[str, Any]]:
        """The log lines with this `event`, oldest first. For JSON logs only."""
        found: list[dict[str, Any]] = []
        if self.log_file.exists():
            for line in self.log_file.read_bytes().splitlines():
                with contextlib.suppress(orjson.JSONDecodeError):
                    entry = orjson.loads(line)
                    if isinstance(entry, dict) and entry.get("event") == event:
                        found.append(entry)
        return found

    def tail(self, lines: int = _TAIL_LINES) -> str:
        """The end of its log."""
        if not self.log_file.exists():
            return ""
        return "\n".join(self.log_file.read_text(errors="replace").splitlines()[-lines:])
