"""`reelwire topics`: create the topics, or compare them with what the service needs."""

from __future__ import annotations

import asyncio

import click

from service.cli.exits import Exit
from service.cli.manual import EPILOG, epilog
from service.cli.views.output import emit, json_option, note, table
from service.kafka.topics.admin import check_topics, create_topics
from service.settings import load_settings


@click.group("topics", epilog=EPILOG)
def command() -> None:
    """Create or check the topics; names, partitions, replication and retention are settings (REELWIRE_TOPICS__…)."""


@command.command(
    "create",
    epilog=epilog(
        "reelwire topics create",
        "REELWIRE_TOPICS__PARTITIONS=12 REELWIRE_TOPICS__REPLICATION=3 reelwire topics create",
    ),
)
@json_option
def create(as_json: bool) -> int:
    """Create the topics that are missing. Existing topics are not changed."""
    outcomes = asyncio.run(create_topics(load_settings()))
    if as_json:
        for outcome in outcomes:
            emit({"topic": outcome.topic, "outcome": outcome.outcome, "partitions": outcome.partitions})
    else:
        rows = [(outcome.topic, outcome.outcome, outcome.partitions) for outcome in outcomes]
        table(("topic", "outcome", "partitions"), rows)
    return Exit.OK


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
        else:
            click.echo(f"{finding.severity}: {finding.topic}: {finding.problem}; {finding.advice}")
    if not found and not as_json:
        note("all topics are as the service needs them")
    return Exit.FAILURE if any(finding.severity == "error" for finding in found) else Exit.OK
