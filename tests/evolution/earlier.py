"""An earlier version of the service, in an environment of its own, on the topics of a stage of today's tests."""

from __future__ import annotations

import re
from pathlib import Path

from service.sandbox.errors import ProgramError
from service.sandbox.program import Program
from tests.harness.stage import Stage

_UNKNOWN = re.compile(r"(REELWIRE_\w+): there is no such setting")


class Earlier:
    """`python` is the interpreter in whose environment the earlier version is installed."""

    def __init__(self, stage: Stage, python: Path) -> None:
        self.stage = stage
        self._python = python
        self._unknown: frozenset[str] = frozenset()

    async def begin(self) -> str:
        """Find out which of today's settings it does not know, and create its topics; returns its version."""
        try:
            await self.command("config")
        except ProgramError as error:
            self._unknown = frozenset(_UNKNOWN.findall(str(error)))
            await self.command("config")
        await self.command("topics", "create")
        return (await self.command("--version")).strip()

    def knows(self, variable: str) -> bool:
        """Whether it has this setting. To be asked after `begin`."""
        return variable not in self._unknown

    async def command(self, *arguments: str) -> str:
        """Run a command of it to its end, and return its output. Raises `ProgramError` when it fails."""
        name = "earlier" + "".join(f"-{one.strip('-')}" for one in arguments)
        program = self._program(name, arguments, {})
        program.log_file.unlink(missing_ok=True)
        await program.start()
        if await program.ended() != 0:
            raise ProgramError(f"the earlier version's {' '.join(arguments)} failed\n{program.tail()}")
        return program.log_file.read_text()

    async def serve(self, name: str = "earlier") -> Program:
        """Start its service and wait until it is ready."""
        system = self.stage.system
        system.service(name)  # it gives the name its port
        url = system.url(name)
        environment = {"REELWIRE_HTTP__PORT": url.rpartition(":")[2], "REELWIRE_KAFKA__CLIENT_ID": name}
        program = self._program(name, ["run"], environment)
        system.services[name] = program
        await program.start()
        await program.ready(f"{url}/health/ready")
        return program

    def _program(self, name: str, arguments: tuple[str, ...] | list[str], environment: dict[str, str]) -> Program:
        system = self.stage.system
        log = system.folder / f"{name}.log"
        known = {key: value for key, value in system.environment.items() if key not in self._unknown}
        return Program(name, list(arguments), {**known, **environment}, log, python=self._python)
