"""The console's least rights are enough for all it shows and does, with a login that has no other right."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from service.console.server import Console
from service.kafka.rights.least import console_rights
from service.settings import ConsoleSettings, Settings
from tests.console.wire import Wire
from tests.harness.stage import Stage
from tests.secured.broker import SecuredBroker
from tests.secured.conftest import OptionsOf, settings_of

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]

TOKEN = "a-token-of-the-console"
WAIT_SECONDS = 40


def _secured(stage: Stage, options_of: OptionsOf) -> Settings:
    settings = stage.system.settings()
    given = settings.kafka.model_dump(exclude_unset=True) | options_of("SCRAM")
    console = ConsoleSettings(port=0, token=SecretStr(TOKEN))
    return settings.model_copy(update={"kafka": settings_of(given), "console": console})


async def _until(client: httpx.AsyncClient, path: str, word: str) -> Any:
    async with asyncio.timeout(WAIT_SECONDS):
        while word not in (answer := await client.get(path)).text:
            await asyncio.sleep(0.05)
    return answer.json()


async def test_the_console_says_which_right_is_missing_and_works_with_its_least_rights(
    secured: SecuredBroker, stage: Stage, options_of: OptionsOf
) -> None:
    settings = _secured(stage, options_of)
    wire = Wire(stage.system.settings())
    async with (
        Console(settings) as console,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{console.port}", timeout=20) as client,
    ):
        await _until(client, "/health/ready", "the right DESCRIBE on topic")
        rights = list(console_rights(settings))
        secured.grant(rights)
        await wire.job("ours")
        await wire.fragments("ours", "seen")
        await _until(client, "/api/jobs/ours", '"text":"seen"')
        await _until(client, "/health/ready", '"status":"ok"')
        await _until(client, "/api/partitions", '"problem":null')
        client.headers["Origin"] = str(client.base_url)
        session = await client.post("/api/session", json={"token": TOKEN})
        client.headers["X-CSRF-Token"] = session.json()["csrf"]
        answer = await client.post("/api/jobs/ours/cancel")
        assert answer.status_code == 200, answer.text
        await wire.completed("ours", "seen")
        await _until(client, "/api/jobs/ours", '"phase":"completed"')
        for right in rights:
            secured.take_away(right)


async def test_a_right_that_is_lost_in_the_middle_is_named_and_when_it_is_back_all_goes_on(
    secured: SecuredBroker, stage: Stage, options_of: OptionsOf
) -> None:
    settings = _secured(stage, options_of)
    wire = Wire(stage.system.settings())
    rights = list(console_rights(settings))
    letters = next(right for right in rights if (right.operation, right.name) == ("READ", settings.topics.dead_letters))
    secured.grant(rights)
    async with (
        Console(settings) as console,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{console.port}", timeout=40) as client,
    ):
        await _until(client, "/health/ready", '"status":"ok"')
        await wire.job("lasting")
        await wire.fragments("lasting", "seen ")
        await _until(client, "/api/jobs/lasting", '"text":"seen "')
        secured.take_away(letters)
        await _until(client, "/health/ready", f"the right READ on topic {letters.name} is missing")
        answer = await client.get("/api/dead-letters/0/0")
        assert answer.status_code in (404, 502)
        assert answer.json()["error"]
        await _until(client, "/api/jobs/lasting", '"text":"seen "')  # what is known stays
        secured.grant([letters])
        await wire.fragments("lasting", "again", first=1)
        await _until(client, "/api/jobs/lasting", '"text":"seen again"')
        await _until(client, "/health/ready", '"status":"ok"')
        await wire.completed("lasting", "seen again")
        await _until(client, "/api/jobs/lasting", '"phase":"completed"')
    for right in rights:
        secured.take_away(right)
