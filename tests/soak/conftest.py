"""Runs soaks, and prints their figures at the end of the session."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import cast, get_args

import pytest

from service.sandbox.broker.broker import Broker, open_broker
from service.settings import load_settings
from tests.soak.report import Delivery, Plan, Result
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


def delivery_wanted() -> Delivery:
    """`SOAK_DELIVERY=at_least_once` runs the services without transactions; the verdict then allows repeated events."""
    wanted = os.environ.get("SOAK_DELIVERY", "exactly_once")
    for known in get_args(Delivery):
        if wanted == known:
            return cast("Delivery", known)
    raise pytest.UsageError(f"SOAK_DELIVERY is {wanted}; set it to exactly_once or at_least_once")


async def _run(plan: Plan, shared: Broker, folder: Path) -> Result:
    if not plan.outages:
        return await Soak(plan, shared, folder).run()
    async with await open_broker(load_settings()) as own:
        return await Soak(plan, own, folder).run()


@pytest.fixture
def run_soak(broker: Broker, capfd: pytest.CaptureFixture[str]) -> RunSoak:
    """Run a plan. A broken run keeps its folder (`SOAK_KEEP=1`: every run), and prints how to repeat it."""

    def run(plan: Plan) -> Result:
        folder = Path(tempfile.mkdtemp(prefix=f"reelwire-soak-{plan.seed}-"))
        try:
            with ThreadPoolExecutor(1) as thread:
                result = thread.submit(asyncio.run, _run(plan, broker, folder)).result()
        except BaseException as error:
            error.add_note(f"logs and topics: {folder}; again: {plan.again}")
            raise
        _RESULTS.append(result)
        with capfd.disabled():
            print(f"\nsoak {'clean' if not result.broken else 'BROKEN'}: {result.summary}", flush=True)
            if result.broken:
                print(f"  logs, topics and what is broken: {folder}")
                print(f"  again: {plan.again}", flush=True)
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
