"""A check of `doctor` beside the main ones that fails is a warning, and hides nothing."""

from __future__ import annotations

import asyncio

import pytest
from aiokafka.errors import KafkaConnectionError

from service.cli.checks.finding import Finding, verdict
from service.cli.checks.kafka import beside
from service.cli.exits import Exit
from service.kafka.connecting.connection import BrokerUnavailable

pytestmark = pytest.mark.unit


async def test_what_a_check_finds_is_passed_on() -> None:
    async def check() -> list[Finding]:
        return [Finding("ok", "spending", "0 USD")]

    assert await beside("spending", check()) == [Finding("ok", "spending", "0 USD")]


@pytest.mark.parametrize(
    "error", [BrokerUnavailable("no broker"), KafkaConnectionError("no broker"), OSError("no broker")]
)
async def test_a_check_that_fails_is_one_warning_with_its_reason(error: Exception) -> None:
    async def check() -> list[Finding]:
        raise error

    [finding] = await beside("other deployments", check())
    assert (finding.grade, finding.about) == ("warn", "other deployments")
    assert finding.detail.startswith("not known: no broker")
    assert verdict([finding]) == Exit.OK


async def test_a_check_without_an_end_is_given_up() -> None:
    async def check() -> list[Finding]:
        await asyncio.Event().wait()
        return []

    [finding] = await beside("hidden requests", check(), seconds=0.01)
    assert finding.grade == "warn"
    assert finding.detail == "not known: the check did not end within 0.01 s"
