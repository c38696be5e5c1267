"""A small fuzz run in every test run; `make fuzz` does the whole one."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from service.sandbox.broker.broker import Broker
from tests.fuzz.report import FuzzResult, save_failures, table
from tests.fuzz.run import Fuzz, FuzzPlan

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(300)]

RECORDS = 800


def _run(broker: Broker, folder: Path, seed: int) -> FuzzResult:
    fuzz = Fuzz(FuzzPlan(folder, seed=seed, records=RECORDS, stall_seconds=60), broker.bootstrap_servers, print)
    with ThreadPoolExecutor(1) as thread:
        result = thread.submit(asyncio.run, fuzz.run()).result()
    print(*save_failures(result, fuzz.cases, folder / "failures"), *table(result), sep="\n")
    return result


def test_every_record_of_strangers_ends_once_and_none_disturbs_the_service(broker: Broker, tmp_path: Path) -> None:
    result = _run(broker, tmp_path, seed=11)

    assert [failure.what for failure in result.failures] == []
    assert result.exits == []
    assert result.health.unanswered == 0
    assert result.health.memory_worst_mb < 250
    assert len(result.kinds) > 10
