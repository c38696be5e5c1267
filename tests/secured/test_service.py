"""The service through a secured broker: what it says of a wrong secret, sessions that end, certificates that change."""

from __future__ import annotations

from pathlib import Path

import pytest

from service.kafka.rights.least import least_rights
from tests.cli.conftest import finish, start
from tests.harness.stage import Stage
from tests.secured.broker import ROOT, SecuredBroker
from tests.secured.conftest import OptionsOf, as_environment

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(180)]

NAMED_WITHIN_SECONDS = 30.0
TROUBLE = ("broker_unreachable", "partition_failed", "writer_died", "sender_replaced", "group_rejoining", "job_event")


@pytest.mark.parametrize(
    ("mode", "secret", "named"),
    [
        ("SCRAM", "sasl_password_file", "refuses the login of user reelwire (SCRAM-SHA-512)"),
        ("OAUTH", "sasl_oauth_client_secret_file", "answers 401, invalid_client"),
    ],
)
async def test_a_wrong_secret_is_named_and_read_again_and_sessions_are_renewed_under_a_stream(
    secured: SecuredBroker, stage: Stage, options_of: OptionsOf, mode: str, secret: str, named: str
) -> None:
    options = options_of(mode, "BRIEF")
    file = Path(options[secret])
    right = file.read_text()
    file.write_text("a wrong one")
    secured.grant(least_rights(stage.system.settings()))
    program = stage.system.service()
    await program.start(**as_environment(options))
    await stage.until_said("http_listening")

    _, page = await stage.until_page("health/ready", lambda page: named in page[1], seconds=NAMED_WITHIN_SECONDS)
    assert "no Kafka broker answers" not in page
    assert [entry for entry in program.said("broker_waited_for") if named in entry["reason"]]
    file.write_text(right)
    await stage.until_page("health/ready", lambda page: page[0] == 200, seconds=NAMED_WITHIN_SECONDS)

    # A stream that outlasts three sessions.
    await stage.system.pace(fragment_interval_ms=400, fragments=16)
    completed = await stage.answer(stage.analyze(stage.name(), stage.clip(), mode="stream"))
    assert (completed["type"], completed["attempt"]) == ("completed", 1)
    assert {event: program.said(event) for event in TROUBLE if program.said(event)} == {}
    assert await stage.broken_promises() == []
    assert await program.stop(seconds=15) == 0


async def test_every_command_logs_in_like_the_service(
    secured: SecuredBroker, stage: Stage, options_of: OptionsOf
) -> None:
    environment = stage.system.environment | as_environment(options_of("PLAIN") | {"sasl_username": ROOT})
    await stage.system.serve(**as_environment(options_of("PLAIN") | {"sasl_username": ROOT}))
    commands = (
        ("topics", "create"),
        ("topics", "check"),
        ("doctor", "--json"),
        ("submit", str(stage.clip()), "--prompt", "what happens?", "--wait"),
        ("jobs", "list"),
        ("dlq", "list"),
    )
    for arguments in commands:
        result = await finish(await start(*arguments, environment=environment))
        assert result.code == 0, (arguments, result.err, result.out)


async def test_a_command_without_a_right_names_it(secured: SecuredBroker, stage: Stage, options_of: OptionsOf) -> None:
    environment = stage.system.environment | as_environment(options_of("PLAIN"))
    requests = stage.system.settings().topics.requests
    submitted, checked, examined = [
        await finish(await start(*arguments, environment=environment))
        for arguments in (("submit", "https://media.example.com/a.mp4"), ("topics", "check"), ("doctor",))
    ]
    assert submitted.code == 3
    assert f"on topic {requests} is missing" in submitted.err
    assert checked.code == 1
    assert f"the right DESCRIBE on topic {requests} is missing" in checked.out
    assert "topics create" not in checked.out
    assert f"the right READ on topic {requests} is missing" in examined.out


async def test_certificates_that_all_change_are_named_and_taken_up_without_a_restart(
    secured: SecuredBroker, stage: Stage, options_of: OptionsOf, tmp_path: Path
) -> None:
    trust = tmp_path / "trust.pem"
    trust.write_bytes(secured.authority.file.read_bytes())
    options = options_of("MUTUAL LOCKED") | {"ssl_cafile": str(trust)}
    secured.grant(least_rights(stage.system.settings()))
    program = await stage.system.serve(**as_environment(options))
    assert all(entry["seconds"] < 5 for entry in program.said("partition_taken"))
    first = await stage.answer(stage.analyze(stage.name(), stage.clip(), mode="stream"))

    # The authority, the broker's certificate and ours are others; our files are still the old ones.
    secured.local.kill()
    secured.renew("later")
    await secured.start()
    _, page = await stage.until_page(
        "health/ready", lambda page: "is not signed by an authority in" in page[1], seconds=NAMED_WITHIN_SECONDS
    )
    assert str(trust) in page

    trust.write_bytes(secured.authority.file.read_bytes())
    secured.authority.certificate("reelwire", password="key-pw")
    await stage.until_page("health/ready", lambda page: page[0] == 200, seconds=NAMED_WITHIN_SECONDS)
    second = await stage.answer(stage.analyze(stage.name(), stage.clip(), mode="stream"))
    assert [first["type"], second["type"]] == ["completed", "completed"]
    assert program.said("credentials_renewed")
    assert await program.stop(seconds=15) == 0
