"""The tutorial's commands, word for word, against the demo that its first command starts."""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, Command, blocks, commands

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(420)]

_READY = "Everything is up"
_DEMO_SECONDS = 240
_COMMAND_SECONDS = 60
_TO_COPY = re.compile(r"^\s*((?:source|export|\.) .+)$", re.MULTILINE)


@asynccontextmanager
async def demo(command: Command) -> AsyncIterator[tuple[str, asyncio.subprocess.Process]]:
    """The first terminal: runs the command until the line to copy is there, and gives that line and the process."""
    process = await asyncio.create_subprocess_exec(
        "bash",
        "-c",
        f"exec {command.text}",
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    assert process.stdout is not None
    seen = ""
    try:
        async with asyncio.timeout(_DEMO_SECONDS):
            while not (_READY in seen and _TO_COPY.search(seen)):
                line = (await process.stdout.readline()).decode()
                assert line, f"the demo has ended:\n{seen}"
                seen += line
        found = _TO_COPY.search(seen)
        assert found
        yield found.group(1), process
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGINT)  # Ctrl-C reaches everything in the terminal
        await process.communicate()


async def run(command: Command, copied: str) -> tuple[int, str]:
    """The second terminal: each command with what the copied line has set."""
    process = await asyncio.create_subprocess_exec(
        "bash",
        "-c",
        f"{copied}\n{command.text}",
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(_COMMAND_SECONDS):
        output, _ = await process.communicate()
    return process.returncode or 0, output.decode()


def shows(output: str, wanted: tuple[str, ...]) -> bool:
    """Whether the lines of the page come in this order in the output; `…` stands for anything."""
    lines = iter(output.splitlines())
    for line in wanted:
        pattern = re.compile(".*".join(re.escape(part) for part in line.split("…")))
        if not any(pattern.fullmatch(found.strip()) for found in lines):
            return False
    return True


def test_what_a_page_shows_is_compared_line_by_line() -> None:
    assert shows("a\nb 12 c\n  d\n", ("b … c", "d"))
    assert not shows("d\nb 12 c\n", ("b … c", "d"))
    assert not shows("b 12 cc\n", ("b … c",))


async def test_the_commands_of_the_tutorial_do_what_it_says() -> None:
    first, *others = [
        command for block in blocks("tutorial.md") if block.language == "console" for command in commands(block)
    ]
    async with demo(first) as (copied, process):
        for command in others:
            code, output = await run(command, copied)
            assert (code, shows(output, command.shown)) == (0, True), f"{command.text}\n{output}"
        # What the page does not show: the demo is not silent when its service dies.
        folder = Path(shlex.split(copied)[1]).parent
        assert not (folder / "service.pid").exists(), "that process was replaced by the second one"
        os.kill(int((folder / "second.pid").read_text()), signal.SIGKILL)
        async with asyncio.timeout(_COMMAND_SECONDS):
            said, _ = await process.communicate()
        assert "The service has ended with exit code 137" in said.decode()
        assert process.returncode != 0
    assert len(others) >= 9
