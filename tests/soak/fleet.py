"""The service processes of a soak: disturbs them, and starts again what ended by itself, as a supervisor would."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import MutableMapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime

from service.failpoints import VARIABLE
from service.sandbox.errors import ProgramError
from service.sandbox.program import Program
from service.telemetry.events import LogEvent
from tests.soak.chaos import Disturbance

_CHECK_SECONDS = 0.1
_STOP_SECONDS = 60.0
_PAST = 1.5
_ENDED_BY_SIGTERM = 128 + signal.SIGTERM


@dataclass
class Fleet:
    """Disturbs processes and notes what was done to them."""

    programs: MutableMapping[str, Program]
    """The process of each name; `replace` puts another one in its place."""
    spares: MutableMapping[str, Program]
    """Who takes the place of each, and was replaced by it the last time."""
    session_seconds: float
    extra: tuple[str, ...] = ()
    """Names that are not running at first."""
    kills: int = 0
    stops: int = 0
    replaced: int = 0
    freezes: list[tuple[float, float]] = field(default_factory=list)
    """Wall-clock time from SIGSTOP to SIGCONT (or the kill) of each."""
    exits: list[str] = field(default_factory=list)
    """Processes that ended by themselves: name and exit code."""
    wrong_exits: list[str] = field(default_factory=list)
    """Processes that did not end with 0 after SIGTERM."""
    history: list[str] = field(default_factory=list)
    _logged: dict[str, int] = field(default_factory=dict)
    points: list[str] = field(default_factory=list)
    """Failpoints at which a process froze itself."""
    _armed: dict[str, Disturbance] = field(default_factory=dict)
    _points: set[str] = field(default_factory=set)
    _down: set[str] = field(default_factory=set)
    _frozen: dict[str, float] = field(default_factory=dict)
    _leaving: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    _replaced: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    _killed: set[str] = field(default_factory=set)
    _asleep: dict[str, float] = field(default_factory=dict)
    """Replaced processes that are frozen while they carry: since when."""
    _began: float = field(default_factory=time.monotonic)

    async def start_all(self) -> None:
        self._down.update(self.extra)
        for name, program in self.programs.items():
            if name not in self.extra:
                await self._start(program)

    async def apply(self, disturbance: Disturbance) -> None:
        """Carry out one disturbance. Does nothing if the process is not running."""
        name, program = disturbance.process, self.programs[disturbance.process]
        self.note(f"{disturbance.action} {name}" + (f" armed {disturbance.armed}" if disturbance.armed else ""))
        match disturbance.action:
            case "kill" if program.running:
                self._down.add(name)
                self._thawed(name)
                await program.kill()
                self.kills += 1
            case "stop" if program.running:
                self._down.add(name)
                self._thawed(name)
                self.stops += 1
                self._leaving[name] = asyncio.create_task(self._leave(program))
            case "freeze" if program.running:
                _send(program, signal.SIGSTOP)
                self._frozen[name] = time.time()
            case "thaw" if program.running:
                _send(program, signal.SIGCONT)
                self._thawed(name)
            case "replace" if program.running and name not in self._frozen:
                await self._replace(name, program)
            case "kill_leaving" if self._carries(name):
                await self._kill_leaving(name)
            case "freeze_leaving" if self._carries(name):
                _send(self.spares[name], signal.SIGSTOP)
                self._asleep[name] = time.time()
            case "thaw_leaving":
                self._wake(name)
            case "start":
                leaving = self._leaving.pop(name, None)
                if leaving is not None:
                    await leaving
                if not program.running:
                    self._armed.pop(name, None)
                    if disturbance.armed:
                        self._armed[name] = disturbance
                    await self._start(program, **({VARIABLE: disturbance.armed} if disturbance.armed else {}))
                self._down.discard(name)
            case _:
                self.note(f"nothing to {disturbance.action}: {name} is not running, or frozen")

    async def _replace(self, name: str, program: Program) -> None:
        """SIGTERM to the one, and start the other in its place, as soon as what was replaced before has left."""
        self._wake(name)
        spare = self.spares[name]
        left = self._replaced.pop(name, None)
        if left is not None:
            await left
        self.replaced += 1
        self._killed.discard(spare.name)
        self._armed.pop(name, None)
        self.programs[name], self.spares[name] = spare, program
        self._replaced[name] = asyncio.create_task(self._leave(program))
        await self._start(spare)

    async def _kill_leaving(self, name: str) -> None:
        self._wake(name)
        self._killed.add(self.spares[name].name)
        await self.spares[name].kill()
        self.kills += 1

    def _carries(self, name: str) -> bool:
        return self.spares[name].running and name not in self._asleep

    def _wake(self, name: str) -> None:
        """Let the replaced process go on, if it was frozen."""
        since = self._asleep.pop(name, None)
        if since is not None:
            _send(self.spares[name], signal.SIGCONT)
            self.freezes.append((since, time.time()))

    async def supervise(self) -> None:
        """Until cancelled: start again what ended by itself, and go on with what froze itself at a failpoint."""
        while True:
            await asyncio.sleep(_CHECK_SECONDS)
            for name, program in self.programs.items():
                if name not in self._down and not program.running:
                    code = await program.ended()
                    self.exits.append(f"{name} ended by itself with {code}")
                    self.note(self.exits[-1])
                    self._armed.pop(name, None)
                    await self._start(program)
                with suppress(OSError, ProgramError):  # it may end, or be starting, just now
                    if program.running and program.frozen:
                        await self._frozen_itself(name)

    async def _frozen_itself(self, name: str) -> None:
        """Past its session, thaw or kill a process that a failpoint has stopped."""
        disturbance = self._armed.get(name)
        if disturbance is None or (name in self._frozen and name not in self._points):
            return  # frozen by a disturbance, which also thaws it
        if name not in self._points:
            self._points.add(name)
            self._frozen[name] = time.time()
            self.points.append(str(disturbance.armed))
            self.note(f"{name} froze itself at {disturbance.armed}")
        elif time.time() - self._frozen[name] > _PAST * self.session_seconds:
            if disturbance.then == "kill" and name not in self._down:
                await self.apply(Disturbance(0, name, "kill"))
                await self.apply(Disturbance(0, name, "start"))
            else:
                await self.apply(Disturbance(0, name, "thaw"))

    async def stop_all(self) -> None:
        """SIGTERM to all at once, and wait for their ends."""
        self._down.update(self.programs)
        for name in self.programs:
            self._thawed(name)  # SIGTERM comes with a SIGCONT
            self._wake(name)
        await asyncio.gather(*(self._leave(program) for program in self.programs.values()), *self._replaced.values())

    def note(self, what: str) -> None:
        clock = datetime.now(UTC).strftime("%H:%M:%S.%f")[:-3]
        self.history.append(f"{clock} {time.monotonic() - self._began:7.2f} {what}")

    def _thawed(self, name: str) -> None:
        self._points.discard(name)
        since = self._frozen.pop(name, None)
        if since is not None:
            self.freezes.append((since, time.time()))

    def _was_loading(self, program: Program) -> bool:
        return (
            LogEvent.SERVICE_STARTING
            not in program.log_file.read_text(errors="replace")[self._logged.get(program.name, 0) :]
        )

    async def _start(self, program: Program, **environment: str) -> None:
        if program.log_file.exists():
            self._logged[program.name] = len(program.log_file.read_text(errors="replace"))
        await program.start(**environment)

    async def _leave(self, program: Program) -> None:
        code = await program.stop(seconds=_STOP_SECONDS)
        if program.name in self._killed:
            return
        # A process that was still loading modules has no handler for SIGTERM yet.
        if code != 0 and not (code == _ENDED_BY_SIGTERM and self._was_loading(program)):
            self.wrong_exits.append(f"{program.name} ended with {code} after SIGTERM")
        self.note(f"{program.name} has left")


def _send(program: Program, what: signal.Signals) -> None:
    with suppress(ProcessLookupError):  # it is just ending; `supervise` notes that
        program.send(what)
