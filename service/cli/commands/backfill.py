"""`reelwire backfill`: an archive becomes paced requests, each once, also across interruptions."""

from __future__ import annotations

import asyncio
import re
import signal
import sqlite3
from collections.abc import Collection, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from service.backfill.errors import ArchiveRefused, ArchiveUnreadable, ReportUnwritable, StateRefused
from service.backfill.estimate import MINUTES_PER_GB, Assumptions
from service.backfill.listing.archive import Archive, open_archive
from service.backfill.listing.selection import Selection
from service.backfill.pressure import Limits
from service.backfill.records import READ_ROLES, Decoder, Read
from service.backfill.report import check_report, write_report
from service.backfill.run import Backfill, Options
from service.backfill.state import State, trouble
from service.backfill.status import Plan, Status
from service.backfill.work import Work
from service.cli.exits import CommandError, Exit
from service.cli.manual import epilog
from service.cli.reading.cluster import cluster_id, partition_counts
from service.cli.reading.pauses import pauses_in_force
from service.cli.reading.topic_reader import TopicReader
from service.cli.request_body import DEFAULT_PROMPT, checked, request_member, response_format
from service.cli.times import Moment, Rate
from service.cli.views.backfill_advice import failure_words, left_out_words
from service.cli.views.backfill_screen import BackfillScreen, as_members, backfill_screen, end_words, plan_words
from service.cli.views.output import emit, json_option, note, say
from service.domain.result.cost import Prices
from service.settings import Settings, load_settings

_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([kMGT]?)(i?)B?")
_POWERS = {"": 0, "k": 1, "M": 2, "G": 3, "T": 4}
_LARGEST = 1e18
_MOST_CODES = 5
_NO_TRANSACTIONS = (
    "REELWIRE_KAFKA__DELIVERY=at_least_once: without transactions a request that is on its way while this command is "
    "killed, is frozen or loses its broker may be in the topic twice; the service analyses it once"
)


class Size(click.ParamType[int]):
    """`500kB`, `20MB`, `1.5GB` (units of 1,000), `4MiB` (units of 1,024). Bytes."""

    name = "size"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Raises a usage error that says what can be written."""
        match = _SIZE.fullmatch(str(value).replace("K", "k"))
        if match is None:
            self.fail(f"{value}: write a size such as 500kB, 20MB, 1.5GB or 4MiB", param, ctx)
        size = float(match[1]) * (1024 if match[3] else 1000) ** _POWERS[match[2]]
        if size > _LARGEST:
            self.fail(f"{value}: no object is so large", param, ctx)
        return int(size)


@click.command(
    "backfill",
    epilog=epilog(
        'reelwire backfill s3://archive/2019 --prompt "Summarise the video." --batch --dry-run',
        'reelwire backfill s3://archive/2019 --prompt "Summarise the video." --batch --rate 5/s --report report.csv',
        "reelwire backfill gs://footage --glob '**/cam7/*.mp4' --since 2026-01-01T00:00:00Z --tenant museum",
        "reelwire backfill az://footage/2019 --min-size 1MB --rate 30/min --max-open 200 --state 2019.backfill",
        "reelwire backfill s3://archive/2019 --retry-failed",
    ),
)
@click.argument("prefix")
@click.option("--prompt", help="What to do with each video.  [default: describe it, with timestamps]")
@click.option("--mode", type=click.Choice(["auto", "stream", "sync", "async"]), default="async", show_default=True,
              help="How the platform is asked.")  # fmt: skip
@click.option("--batch", is_flag=True, help="Tasks may wait to be created together.")
@click.option("--priority", type=click.Choice(["high", "normal", "low"]), default="low", show_default=True,
              help="Who gets the next turn.")  # fmt: skip
@click.option("--tenant", help="For whom it is.")
@click.option("--response-format", "format_file", type=click.Path(exists=True, dir_okay=False), metavar="FILE",
              help="JSON Schema of the answers, or the platform's response_format.")  # fmt: skip
@click.option("--set", "extra", multiple=True, metavar="NAME=VALUE", help="Any other member of the requests.")
@click.option("--glob", "globs", multiple=True, metavar="PATTERN",
              help="Only names below PREFIX like this.  [default: videos, by the end of the name]")  # fmt: skip
@click.option("--exclude", "excluded", multiple=True, metavar="PATTERN", help="Not names like this.")
@click.option("--min-size", type=Size(), default="1", metavar="SIZE", help="At least so large.  [default: not empty]")
@click.option("--max-size", type=Size(), metavar="SIZE", help="At most so large.")
@click.option("--since", type=Moment(ahead=False), metavar="RFC3339|DURATION", help="Changed since then.")
@click.option("--until", type=Moment(ahead=False), metavar="RFC3339|DURATION", help="Changed before then.")
@click.option(
    "--rate", type=Rate(), metavar="N[/s|/min|/h]", help="Send at most at this rate.  [default: as the limits let]"
)
@click.option("--max-open", type=click.IntRange(min=1), default=2000, show_default=True,
              help="Send no more while this many have not ended.")  # fmt: skip
@click.option("--max-lag", type=click.IntRange(min=1), default=1000, show_default=True,
              help="Send no more while the service has this many requests of anybody to read.")  # fmt: skip
@click.option("--minutes-per-gb", type=click.FloatRange(min=0, min_open=True), metavar="MINUTES",
              help=f"For estimates.  [default: what was measured so far, else {MINUTES_PER_GB:g}]")  # fmt: skip
@click.option("--state", "state_file", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
              help="Remember here what was sent, longer than the topics do.")  # fmt: skip
@click.option("--report", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE.csv",
              help="Write a line for each object at the end.")  # fmt: skip
@click.option("--retry-failed", is_flag=True, help="Also send again all that has failed, as a new run.")
@click.option("--no-wait", is_flag=True, help="End when all are sent.")
@click.option("--force", is_flag=True,
              help="With kafka.delivery=at_least_once: take over from the same backfill.")  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Count, estimate, send nothing.")
@json_option
def command(
    prefix: str, as_json: bool, dry_run: bool, report: Path | None, state_file: Path | None, **typed: Any
) -> int:
    """Send a request for each video below PREFIX: s3://…, gs://…, az://… or a folder, and wait for their ends.

    An object with the same content and the same work is sent once: when interrupted, or after a crash, the same
    command goes on. Requests have ids made of the object, its ETag and the prompt and options. Exit code 4 when some
    have failed.
    """
    settings = load_settings()
    try:
        archive = open_archive(prefix, settings.sources)
        selection = _selection(typed)
    except ArchiveRefused as error:
        raise click.UsageError(str(error)) from None
    if report is not None:
        if not report.absolute().parent.is_dir():
            raise click.UsageError(f"--report {report}: there is no folder {report.absolute().parent}")
        try:
            check_report(report)
        except ReportUnwritable as error:
            raise CommandError(str(error), Exit.USAGE) from None
    work = Work(_members(settings, typed))
    name = f"{work.name(archive.name)} {settings.topics.requests}"
    try:
        state = State.open(state_file, name)
    except StateRefused as error:
        raise CommandError(str(error), Exit.USAGE) from None
    screen = backfill_screen(as_json=as_json)
    options = _options(settings, typed, work)
    try:
        with screen:
            ended = asyncio.run(
                _carry_out(
                    settings,
                    archive,
                    selection,
                    work,
                    options,
                    state,
                    screen,
                    dry_run=dry_run,
                    kept=state_file is not None,
                )
            )
        if isinstance(ended, Plan):
            _tell_plan(ended, archive.name, as_json=as_json)
            return Exit.OK
        status, whole = ended
        if whole:
            _note_all(left_out_words(status.left_out, status.counts.listed, archive.name))
        return _finish(status, state, report, whole=whole, as_json=as_json)
    except StateRefused as error:
        raise CommandError(str(error), Exit.USAGE) from None
    except ArchiveUnreadable as error:
        if dry_run or not state.counts().listed:
            raise
        raise ArchiveUnreadable(f"{error}; the same command goes on from here, and sends nothing twice") from None
    except sqlite3.Error as error:
        raise CommandError(trouble(error, state_file)) from None
    finally:
        state.close()


def _selection(typed: dict[str, Any]) -> Selection:
    return Selection(
        typed["globs"], typed["excluded"], typed["min_size"], typed["max_size"], typed["since"], typed["until"]
    )


def _members(settings: Settings, typed: dict[str, Any]) -> dict[str, Any]:
    """The members of every request, checked with a name in the place of the objects'."""
    extra = dict(request_member(text) for text in typed["extra"])
    for name in ("request_id", "video", "type", "run"):
        if name in extra:
            raise click.UsageError(f"--set {name}: each request has its own; choose objects with PREFIX and --glob")
    if typed["prompt"] is not None and not typed["prompt"].strip():
        raise click.UsageError("--prompt is empty; leave it out for the default one")
    segments = extra.get("analysis_mode") == "time_based_metadata"
    prompt = typed["prompt"] or (None if "prompt_v2" in extra or segments else DEFAULT_PROMPT)
    members = {
        "prompt": prompt,
        "mode": typed["mode"],
        "priority": typed["priority"],
        "tenant": typed["tenant"],
        "batch": True if typed["batch"] else None,
        "response_format": response_format(typed["format_file"]) if typed["format_file"] else None,
        **extra,
    }
    checked({"request_id": "x", "video": {"type": "object", "uri": "s3://archive/x"}, **members}, settings)
    return {name: value for name, value in members.items() if value is not None}


def _options(settings: Settings, typed: dict[str, Any], work: Work) -> Options:
    request = work.members
    start, end, form = request.get("start_time") or 0.0, request.get("end_time"), request.get("response_format") or {}
    cost = settings.cost
    assumed = Assumptions(
        minutes_per_gb=typed["minutes_per_gb"],
        window_minutes=None if end is None else (end - start) / 60,
        definitions=max(1, len(form.get("segment_definitions") or ())),
        prices=Prices(cost.per_minute, cost.per_1000_output_tokens, cost.currency),
    )
    limits = Limits(typed["max_open"], typed["max_lag"])
    return Options(
        typed["rate"],
        limits,
        assumed,
        retry_failed=typed["retry_failed"],
        wait=not typed["no_wait"],
        force=typed["force"],
    )


async def _carry_out(
    settings: Settings,
    archive: Archive,
    selection: Selection,
    work: Work,
    options: Options,
    state: State,
    screen: BackfillScreen,
    *,
    dry_run: bool,
    kept: bool,
) -> Plan | tuple[Status, bool]:
    topics = [getattr(settings.topics, role.value) for role in READ_ROLES]
    partitions = (await partition_counts(settings, topics))[settings.topics.requests]
    reader: TopicReader[Read] = TopicReader(settings, topics, Decoder(settings.topics))
    state.bind(await cluster_id(settings) if kept else None)
    async with reader:
        backfill = Backfill(
            settings,
            archive=archive,
            selection=selection,
            work=work,
            options=options,
            state=state,
            reader=reader,
            partitions=partitions,
            screen=screen,
            notices=lambda: _pauses(settings),
        )
        _stop_in_order(backfill, screen)
        if dry_run:
            plan = await backfill.plan()
            if plan is None:
                raise KeyboardInterrupt
            return plan
        if settings.kafka.delivery == "at_least_once":
            screen.note(_NO_TRANSACTIONS)
        whole = await backfill.run()
        return backfill.status(), whole


def _stop_in_order(backfill: Backfill, screen: BackfillScreen) -> None:
    """The first Ctrl-C or SIGTERM lets what is under way end; a second one ends the process at once."""
    loop = asyncio.get_running_loop()

    def stop() -> None:
        for one in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(one)
        screen.note("stopping: what is being sent is finished first")
        backfill.stop.set()

    for one in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(one, stop)


async def _pauses(settings: Settings) -> Collection[str]:
    return [
        f"the operator has paused {pause.scope.name}; `reelwire resume` ends that"
        for pause in await pauses_in_force(settings)
    ]


def _note_all(lines: Iterable[str]) -> None:
    for line in lines:
        note(line)


def _tell_plan(plan: Plan, archive: str, *, as_json: bool) -> None:
    _note_all(left_out_words(plan.left_out, plan.objects, archive))
    if as_json:
        emit({"type": "plan"} | asdict(plan))
        return
    for line in plan_words(plan):
        say(line)
    note("nothing was sent")


def _finish(status: Status, state: State, report: Path | None, *, whole: bool, as_json: bool) -> int:
    counts, failures = status.counts, state.failures()
    if report is not None:
        write_report(report, state.rows())
        note(f"{report}: a line for each of {counts.listed:,} objects")
    if as_json:
        emit({"type": "end", "whole": whole, "failures": failures} | as_members(status))
    else:
        say(end_words(status, whole=whole))
    if not whole:
        partial = "" if report is None else f"; the report {report} is partial: it has what was known until now"
        note(f"stopped; the same command goes on from here, and sends nothing twice{partial}")
        return Exit.INTERRUPTED
    if counts.failed:
        _note_all(failure_words(failures, _MOST_CODES))
        return Exit.REQUEST_FAILED
    return Exit.OK
