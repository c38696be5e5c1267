"""The examples run as they are printed, against a system that is up."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import orjson
import pytest

from tests.harness.stage import Stage

pytestmark = pytest.mark.acceptance

EXAMPLES = Path(__file__).parents[2] / "examples"


async def _run(stage: Stage, name: str, *arguments: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(EXAMPLES / name),
        *arguments,
        env={**os.environ, **stage.system.environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    return process.returncode or 0, output.decode()


async def test_what_the_producer_sends_the_consumer_shows_once_and_live(stage: Stage) -> None:
    name, group = stage.name("example"), stage.name("example-group")
    for _ in range(2):  # the second is a repeat: its completion is published again, and must not be shown again
        code, output = await _run(stage, "produce.py", str(stage.clip()), "--request-id", name, "--mode", "stream")
        assert (code, output.split(" in ")[0]) == (0, f"{name} is")
        await stage.ended(name)
    async with stage.watching() as observer:
        await observer.until(lambda: len(observer.completions[name]) == 2)
    last = stage.name("example-last")
    await _run(stage, "produce.py", str(stage.clip()), "--request-id", last, "--mode", "stream")
    code, output = await _run(stage, "consume.py", "--group", group, "--until", last, "--seconds", "60")

    completion = observer.completion(name) or {}
    assert code == 0, output
    assert output.count(f"{name} completed: {completion['text']}") == 1
    fragments = [orjson.loads(line.split(": ", 1)[1]) for line in output.splitlines() if f"{name} attempt 1: " in line]
    assert "".join(fragments) == completion["text"]


async def test_a_request_that_is_none_is_told_from_a_broker_that_is_away(stage: Stage) -> None:
    code, output = await _run(stage, "consume.py", "--until", "nobody", "--seconds", "1")

    assert (code, output.splitlines()[-1]) == (1, "no completion of nobody within 1 s")
