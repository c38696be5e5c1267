"""`reelwire topics`: create the topics, or compare them with what the service needs."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import click
import orjson

from service.cli.exits import Exit
from service.cli.manual import epilog
from service.cli.request_body import DEFAULT_PROMPT
from service.cli.views.output import emit, json_option, note, result, table
from service.ingest.rules.reading import read_rules, refuse_own_topics, rules_for_folder
from service.kafka.rights.least import (
    Right,
    as_commands,
    as_strimzi,
    console_rights,
    default_principal,
    ingest_rights,
    least_rights,
    rights_with_checks,
)
from service.kafka.topics.admin import TopicOutcome, check_topics, create_topics
from service.kafka.topics.plan import Finding
from service.settings import Settings, load_settings


@click.group("topics", epilog=epilog("reelwire topics create", "reelwire topics check"))
def command() -> None:
    """Create or check the topics, or print the rights to them; names and sizes are settings (REELWIRE_TOPICS__…)."""


@command.command(
    "create",
    epilog=epilog(
        "reelwire topics create",
        "REELWIRE_TOPICS__PARTITIONS=12 REELWIRE_TOPICS__REPLICATION=3 reelwire topics create",
    ),
)
@json_option
def create(as_json: bool) -> int:
    """Create the topics that are missing. Existing topics are not changed, but checked.

    Exit code 1 when the service would not start with what is there.
    """
    settings = load_settings()
    outcomes, found = asyncio.run(_created_and_checked(settings))
    if as_json:
        for outcome in outcomes:
            emit({"topic": outcome.topic, "outcome": outcome.outcome, "partitions": outcome.partitions})
    else:
        rows = [(outcome.topic, outcome.outcome, outcome.partitions) for outcome in outcomes]
        table(("topic", "outcome", "partitions"), rows)
    for finding in found:
        note(_line(finding))
    return _verdict(found)


@command.command(
    "check",
    epilog=epilog(
        "reelwire topics check",
        "reelwire topics check --json | jq .advice",
    ),
)
@json_option
def check(as_json: bool) -> int:
    """Compare the cluster's topics with what the service needs. Exit code 1 when the service would not start."""
    found = asyncio.run(check_topics(load_settings()))
    for finding in found:
        if as_json:
            emit({
                "severity": finding.severity,
                "topic": finding.topic,
                "problem": finding.problem,
                "advice": finding.advice,
            })  # fmt: skip
    if found and not as_json:
        rows = [(finding.severity, finding.topic, finding.problem, finding.advice) for finding in found]
        table(("severity", "topic", "problem", "what to do"), rows)
    if not found and not as_json:
        note("all topics are as the service needs them")
    return _verdict(found)


@command.command(
    "acls",
    epilog=epilog(
        "reelwire topics acls",
        "reelwire topics acls --principal User:CN=reelwire | sh",
        "reelwire topics acls --strimzi > acls.json",
        "reelwire topics acls --console --principal User:console",
        "reelwire topics acls --ingest --principal User:ingest",
    ),
)
@click.option("--principal", metavar="USER", help="Whom to allow, such as User:reelwire; else as the settings log in.")
@click.option("--with-checks", is_flag=True, help="DESCRIBE_CONFIGS as well: for checks and warnings, not required.")
@click.option("--console", "of_console", is_flag=True, help="The rights of `reelwire console` instead.")
@click.option("--ingest", "of_ingest", is_flag=True, help="The rights of `reelwire ingest` instead.")
@click.option(
    "--rules",
    type=click.Path(dir_okay=False, path_type=Path),
    help="With --ingest: its rules, which name topics and group. Without: for --watch alone, or notifications by HTTP.",
)
@click.option("--strimzi", is_flag=True, help="The `acls` of a Strimzi KafkaUser, as JSON.")
@json_option
def acls(
    principal: str | None,
    with_checks: bool,
    of_console: bool,
    of_ingest: bool,
    rules: Path | None,
    strimzi: bool,
    as_json: bool,
) -> int:
    """Print the least rights of the service, as commands of Apache Kafka that grant them.

    They follow from the topics, the group and the delivery in the settings; no broker is asked. `reelwire doctor` says
    which of them are missing. With --console: those of the console, which also writes when it has a token. With
    --ingest: those of `reelwire ingest`, which follow from its rules too.
    """
    settings = load_settings()
    if of_console + of_ingest + with_checks > 1:
        raise click.UsageError("give one of --with-checks, --console and --ingest: only the service looks at topics")
    if rules is not None and not of_ingest:
        raise click.UsageError("--rules goes with --ingest: only its rights follow from rules")
    if of_console:
        rights = console_rights(settings)
    elif of_ingest:
        rights = _rights_of_ingest(settings, rules)
    else:
        rights = rights_with_checks(settings) if with_checks else least_rights(settings)
    if strimzi:
        result(orjson.dumps({"acls": as_strimzi(rights)}, option=orjson.OPT_INDENT_2).decode())
    elif as_json:
        for right in rights:
            emit({
                "operation": right.operation,
                "resource_type": right.kind,
                "resource": right.name,
                "pattern": "prefixed" if right.prefix else "literal",
                "required": right.required,
            })  # fmt: skip
    else:
        whom = principal or default_principal(settings)
        for line in as_commands(rights, settings.kafka.bootstrap_servers, whom):
            result(line)
    return Exit.OK


def _rights_of_ingest(settings: Settings, file: Path | None) -> tuple[Right, ...]:
    most = settings.jobs.max_request_bytes
    rules = rules_for_folder(DEFAULT_PROMPT, max_bytes=most) if file is None else read_rules(file, max_bytes=most)
    refuse_own_topics(rules, settings.topics)
    return ingest_rights(settings, rules.topics, rules.group_id(settings.kafka.group_id))


async def _created_and_checked(settings: Settings) -> tuple[list[TopicOutcome], list[Finding]]:
    return await create_topics(settings), await check_topics(settings)


def _line(finding: Finding) -> str:
    return f"{finding.severity}: {finding.topic}: {finding.problem}; {finding.advice}"


def _verdict(found: Sequence[Finding]) -> Exit:
    return Exit.FAILURE if any(finding.severity == "error" for finding in found) else Exit.OK
