"""The examples run as they are printed, against a system that is up."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import orjson
import pytest

from tests.harness.stage import Stage

pytestmark = pytest.mark.acceptance

EXAMPLES = Path(__file__).parents[2] / "examples"


async def _start(stage: Stage, name: str, *arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        str(EXAMPLES / name),
        *arguments,
        env={**os.environ, **stage.system.environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )


async def _run(stage: Stage, name: str, *arguments: str) -> tuple[int, str]:
    process = await _start(stage, name, *arguments)
    output, _ = await process.communicate()
    return process.returncode or 0, output.decode()


async def test_what_the_producer_sends_the_consumer_shows_once_and_live(stage: Stage) -> None:
    name, last = stage.name("example"), stage.name("example-last")
    for sent in (name, name, last):  # the second is a repeat: its completion is published again, not shown again
        code, output = await _run(stage, "produce.py", str(stage.clip()), "--request-id", sent, "--mode", "stream")
        assert (code, output.split(" in ")[0]) == (0, f"{sent} is")
        await stage.ended(sent)
    async with stage.watching() as observer:
        await observer.until(lambda: len(observer.completions[name]) == 2)
    text = (observer.completion(name) or {})["text"]

    consumer = await _start(stage, "consume.py", "--group", stage.name("example-group"))
    lines: list[str] = []
    fragments: list[str] = []
    async with asyncio.timeout(60):
        while "".join(fragments) != text or not any(line.startswith(f"{last} completed: ") for line in lines):
            assert consumer.stdout is not None
            lines.append((await consumer.stdout.readline()).decode())
            assert lines[-1], "the consumer has ended"
            if lines[-1].startswith(f"{name} attempt 1: "):
                fragments.append(orjson.loads(lines[-1].split(": ", 1)[1]))
    consumer.send_signal(signal.SIGINT)
    assert await consumer.wait() == 0

    assert lines.count(f"{name} completed: {text}\n") == 1


async def test_a_request_that_is_none_is_told_from_a_broker_that_is_away(stage: Stage) -> None:
    code, output = await _run(stage, "consume.py", "--until", "nobody", "--seconds", "1")

    assert (code, output.splitlines()[-1]) == (1, "no completion of nobody within 1 s")
