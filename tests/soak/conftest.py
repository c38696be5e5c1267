"""Runs soaks and tells their figures at the end of the session."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from service.sandbox.broker.broker import Broker
from tests.soak.report import Plan, Result
from tests.soak.run import Soak

_RESULTS: list[Result] = []

RunSoak = Callable[[Plan], Result]


def seeds_wanted() -> list[int]:
    """`SOAK_SEEDS=3,7` or `SOAK_SEEDS=1-4`; ten seeds by default."""
    wanted: list[int] = []
    for part in os.environ.get("SOAK_SEEDS", "1-10").split(","):
        first, _, last = part.partition("-")
        wanted.extend(range(int(first), int(last or first) + 1))
    return wanted


@pytest.fixture
def run_soak(broker: Broker, capfd: pytest.CaptureFixture[str]) -> RunSoak:
    """Run a plan. What is broken (or all, with `SOAK_KEEP=1`) keeps its folder; the way to repeat it is told."""

    def run(plan: Plan) -> Result:
        folder = Path(tempfile.mkdtemp(prefix=f"reelwire-soak-{plan.seed}-"))
        soak = Soak(plan, broker.bootstrap_servers, folder)
        try:
            with ThreadPoolExecutor(1) as thread:
                result = thread.submit(asyncio.run, soak.run()).result()
        except BaseException as error:
            error.add_note(f"logs and topics: {folder}; again: SOAK_SEEDS={plan.seed} make soak")
            raise
        _RESULTS.append(result)
        with capfd.disabled():
            print(f"\nsoak {'clean' if not result.broken else 'BROKEN'}: {result.summary}", flush=True)
            if result.broken:
                print(f"  logs, topics and what is broken: {folder}")
                print(f"  again: SOAK_SEEDS={plan.seed} make soak", flush=True)
        if not result.broken and "SOAK_KEEP" not in os.environ:
            shutil.rmtree(folder, ignore_errors=True)
        return result

    return run


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not _RESULTS:
        return
    clean = sum(not result.broken for result in _RESULTS)
    terminalreporter.section("soak")
    for result in _RESULTS:
        terminalreporter.write_line(f"{'clean ' if not result.broken else 'BROKEN'} {result.summary}")
    terminalreporter.write_line(f"{clean} of {len(_RESULTS)} runs clean")
