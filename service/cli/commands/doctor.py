"""`reelwire doctor`: check everything that the service needs, and say what to do."""

from __future__ import annotations

import asyncio
import sys

import click
from rich.text import Text

from service.cli.checks.finding import Finding, verdict
from service.cli.checks.kafka import check_kafka
from service.cli.checks.one_request import check_request
from service.cli.checks.platform import check_file_roots, check_platform
from service.cli.manual import epilog
from service.cli.views.output import console, emit, json_option
from service.settings import Settings, load_settings

_COLOURS = {"ok": "green", "warn": "yellow", "fail": "red", "unreachable": "red"}


@click.command(
    "doctor",
    epilog=epilog(
        "reelwire doctor",
        "reelwire doctor --request cam7-918273",
        "reelwire doctor --json | jq 'select(.grade != \"ok\")'",
        "reelwire doctor --no-platform",
    ),
)
@click.option("--no-platform", is_flag=True, help="Do not call the platform.")
@click.option("--request", metavar="ID", help="Say where this request is, instead of the other checks.")
@json_option
def command(no_platform: bool, request: str | None, as_json: bool) -> int:
    """Check settings, broker, topics, group, platform and file roots, and say what to do about each problem.

    Exit code 0 when the service can start (warnings included), 1 when something must be corrected, 3 when Kafka or the
    platform can't be reached.
    """
    settings = load_settings()
    checking = _check(settings, no_platform=no_platform) if request is None else check_request(settings, request)
    findings = asyncio.run(checking)
    for finding in findings:
        if as_json:
            emit(finding.as_json())
        else:
            _show(finding)
    return verdict(findings)


async def _check(settings: Settings, *, no_platform: bool) -> list[Finding]:
    kafka = asyncio.create_task(check_kafka(settings))
    platform = [] if no_platform else [await check_platform(settings)]
    return [Finding("ok", "settings", "valid"), *await kafka, *platform, *check_file_roots(settings)]


def _show(finding: Finding) -> None:
    text = Text.assemble((f"{finding.grade:<12}", _COLOURS[finding.grade]), f"{finding.about}: {finding.detail}")
    if finding.todo:
        text.append(f"\n{'':12}-> {finding.todo}", style="bold" if sys.stdout.isatty() else "")
    console().print(text)
