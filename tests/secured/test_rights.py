"""The least rights: each one is needed, and each one that is missing is named, before the start and while it runs."""

from __future__ import annotations

import asyncio

import pytest

from service.kafka.rights.least import Right, least_rights
from service.kafka.rights.look import RightsLook
from service.settings import Settings
from tests.harness.stage import Stage
from tests.secured.broker import SecuredBroker
from tests.secured.conftest import OptionsOf, as_environment, settings_of

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]


def _secured(stage: Stage, options_of: OptionsOf) -> Settings:
    """The settings of the service: the same topics and group, through a login without any right of its own."""
    settings = stage.system.settings()
    given = settings.kafka.model_dump(exclude_unset=True) | options_of("SCRAM")
    return settings.model_copy(update={"kafka": settings_of(given)})


async def _until_missing(look: RightsLook, expected: list[Right]) -> None:
    """Rights take a moment to reach the broker."""
    async with asyncio.timeout(10):
        while (await look.missing()) != expected:
            await asyncio.sleep(0.02)


async def test_each_right_that_is_missing_is_found(secured: SecuredBroker, stage: Stage, options_of: OptionsOf) -> None:
    settings = _secured(stage, options_of)
    rights = list(least_rights(settings))
    look = RightsLook(settings)
    try:
        await _until_missing(look, rights)
        secured.grant(rights)
        await _until_missing(look, [])
        for right in rights:
            secured.take_away(right)
            await _until_missing(look, [right])
            secured.grant([right])
        await _until_missing(look, [])
    finally:
        await look.close()


async def test_a_service_waits_for_its_rights_and_names_each_that_it_loses(
    secured: SecuredBroker, stage: Stage, options_of: OptionsOf
) -> None:
    rights = list(least_rights(_secured(stage, options_of)))
    program = stage.system.service()
    await program.start(**as_environment(options_of("SCRAM")))

    # Before the start: it waits, and says for what.
    await stage.until_said("right_missing", len(rights))
    _, body = await stage.until_page("health/ready", lambda page: "WRITE on transactional ids" in page[1])
    required = [right for right in rights if right.required]
    assert [right for right in required if str(right) not in body] == []
    secured.grant(rights)
    await stage.until_page("health/ready", lambda page: page[0] == 200)
    assert _named(stage, "right_missing") == _named(stage, "right_back") == {str(right) for right in rights}

    # While it runs, with work to do: each one by itself.
    sent: list[str] = []
    stop = asyncio.Event()

    async def send() -> None:
        while not stop.is_set():
            sent.append(stage.name())
            await stage.request_producer.send(stage.analyze(sent[-1], clip, mode="stream"))
            await asyncio.sleep(0.2)

    clip = stage.clip()
    sending = asyncio.create_task(send())
    try:
        for count, right in enumerate(rights, 1):
            secured.take_away(right)
            await stage.until_said("right_missing", len(rights) + count)
            said = program.said("right_missing")[-1]
            assert (said["operation"], said["resource_type"], said["resource"]) == (
                right.operation,
                right.kind,
                right.name,
            )
            _, body = await stage.system.get("health/ready")
            assert str(right) in body
            secured.grant([right])
            await stage.until_said("right_back", len(rights) + count)
    finally:
        stop.set()
        await sending
    await stage.until_page("health/ready", lambda page: page[0] == 200)
    await stage.ended(*sent, seconds=90)
    assert await stage.broken_promises() == []
    log = program.log_file.read_text()
    assert "never retrieved" not in log
    assert "topics create" not in log
    assert program.running
    assert await program.stop() == 0


def _named(stage: Stage, event: str) -> set[str]:
    return {entry["right"] for entry in stage.system.service().said(event)}
