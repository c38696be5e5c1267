"""`reelwire ingest`: notifications of buckets and recorders, and files of a folder, become requests."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

import click
import orjson

from service.cli.exits import CommandError, Exit
from service.cli.manual import epilog
from service.cli.request_body import DEFAULT_PROMPT
from service.cli.views.output import emit, json_option, json_text, note, result, say
from service.cli.words import in_words
from service.ingest.notifications.arrival import Arrival, OtherEvent, Unreadable
from service.ingest.notifications.reading import read_notification
from service.ingest.rules.reading import Rules, read_rules, refuse_own_topics, rules_for_folder
from service.ingest.rules.request import RuleFault
from service.settings import Settings, load_settings

_RULES = click.Path(dir_okay=False, path_type=Path)


@click.group(
    "ingest",
    invoke_without_command=True,
    epilog=epilog(
        "reelwire ingest --rules rules.toml",
        "reelwire ingest --watch /recordings --prompt 'Any incident?'",
        "reelwire ingest check --rules rules.toml --event event.json",
    ),
)
@click.option("--rules", "file", type=_RULES, help="TOML file of rules: which videos become which requests.")
@click.option(
    "--watch",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Send the files of this folder and its subfolders, once they stand still.",
)
@click.option(
    "--existing",
    type=click.Choice(["send", "skip"]),
    default="send",
    help="At the very first start: what becomes of the files that are in the folder.  [default: send]",
)
@click.option(
    "--prompt",
    help="With --watch and without --rules: what to do with each file.  [default: describe it, with timestamps]",
)
@click.pass_context
def ingest(
    context: click.Context, file: Path | None, watch: Path | None, existing: Literal["send", "skip"], prompt: str | None
) -> int:
    """Make requests of what arrives: objects in buckets, clips of Frigate, files of a folder. Runs until SIGTERM.

    Notifications come from the topics that the rules name, and over HTTP where REELWIRE_INGEST__SECRET is set. Each
    version of an object becomes one request, whatever is sent twice, in another order, or killed in between. Several
    processes may run: one works, the others take its place when it ends.
    """
    if context.invoked_subcommand is not None:
        return Exit.OK
    settings = load_settings()
    rules = _rules(settings, file, watch, prompt)
    from service.ingest.process import Watch, main  # imported when it is needed: checks stay fast

    return main(settings, rules, None if watch is None else Watch(_absolute(watch), existing))


def _absolute(folder: Path) -> Path:
    """Without `..`, and with its links: requests name files by the path that was given."""
    return Path(os.path.normpath(folder.absolute()))


def _rules(settings: Settings, file: Path | None, watch: Path | None, prompt: str | None) -> Rules:
    if file is not None:
        if prompt is not None:
            raise click.UsageError("--prompt goes without --rules: the rules say the prompt")
        return read_rules(file, max_bytes=settings.jobs.max_request_bytes)
    if prompt is not None and not prompt.strip():
        raise click.UsageError("--prompt is empty; leave it out for the default one")
    if watch is None:
        raise click.UsageError("give --rules, or a folder with --watch")
    return rules_for_folder(prompt or DEFAULT_PROMPT, max_bytes=settings.jobs.max_request_bytes)


@ingest.command(
    "check",
    epilog=epilog(
        "reelwire ingest check --rules rules.toml",
        "reelwire ingest check --rules rules.toml --event event.json --json | jq .request",
        "kcat -C -t bucket-events -o -1 -e | reelwire ingest check --rules rules.toml --event -",
    ),
)
@click.option("--rules", "file", type=_RULES, required=True, help="TOML file of rules.")
@click.option(
    "--event",
    type=click.Path(dir_okay=False, allow_dash=True, path_type=Path),
    help="A notification, as it is in the topic; - reads it from stdin.",
)
@click.option("--header", "headers", multiple=True, metavar="NAME=VALUE", help="A header of its record.")
@json_option
def check(file: Path, event: Path | None, headers: tuple[str, ...], as_json: bool) -> int:
    """Read the rules, and show what would be sent for a notification. Nothing is sent, no broker is asked.

    Exit code 1 when the notification, or a part of it, would go to the dead letters.
    """
    settings = load_settings()
    rules = read_rules(file, max_bytes=settings.jobs.max_request_bytes)
    refuse_own_topics(rules, settings.topics)
    if event is None:
        if as_json:
            emit({"rules": [rule.name for rule, _ in rules.rules], "topics": list(rules.topics)})
        else:
            found = f"{_counted(len(rules.rules), 'rule')}, {_counted(len(rules.topics), 'topic')}"
            note(f"{file}: {found}; give --event to see what becomes of one")
        return Exit.OK
    try:
        with click.open_file(str(event), "rb") as stream:
            raw = stream.read()
    except OSError as error:
        raise click.UsageError(f"--event: the file can't be read: {in_words(error)}") from None
    notices = read_notification(raw, _headers(headers))
    if not notices:
        note("it holds no event: nothing would be sent")
    rejected = 0
    for notice in notices:
        told = _told(rules, notice)
        rejected += told["outcome"] == "rejected"
        _tell(told, as_json=as_json)
    if rejected:
        raise CommandError(f"{rejected} would be rejected: the record would go to the dead letters", Exit.FAILURE)
    return Exit.OK


def _counted(count: int, thing: str) -> str:
    return f"{count} {thing}" if count == 1 else f"{count} {thing}s"


def _headers(texts: tuple[str, ...]) -> tuple[tuple[str, bytes | None], ...]:
    pairs = [text.partition("=") for text in texts]
    for name, separator, _ in pairs:
        if not name or not separator:
            raise click.UsageError("--header: write NAME=VALUE")
    return tuple((name, value.encode()) for name, _, value in pairs)


def _told(rules: Rules, notice: Arrival | OtherEvent | Unreadable) -> dict[str, object]:
    if isinstance(notice, Unreadable):
        return {"outcome": "rejected", "reason": notice.message, "code": str(notice.code)}
    if isinstance(notice, OtherEvent):
        return {"outcome": "other", "reason": f"{notice.kind or 'this event'} is no arrival of a video"}
    about: dict[str, object] = {"of": notice.object_name, "version": notice.version}
    if notice.size == 0:
        return {"outcome": "empty", **about, "reason": "it has no bytes"}
    try:
        planned = rules.of(notice)
    except RuleFault as fault:
        return {"outcome": "rejected", **about, "reason": str(fault), "code": "invalid"}
    if planned is None:
        return {"outcome": "unmatched", **about, "reason": "no rule is for it"}
    request = orjson.loads(planned.value)
    told = {"outcome": "sent", **about, "rule": planned.rule, "key": planned.key, "request": request}
    return told | {"recorded_at_missing": True} if planned.without_time else told


def _tell(told: dict[str, object], *, as_json: bool) -> None:
    if as_json:
        emit(told)
        return
    request = told.get("request")
    if request is None:
        say(f"{told['outcome']}: {told.get('of') or 'event'}: {told['reason']}")
        return
    say(f"would send, by rule {told['rule']}, with the key {told['key']}:")
    result(json_text(request, orjson.OPT_INDENT_2))
    if told.get("recorded_at_missing"):
        note(f"recorded_at_missing: rule {told['rule']} asks for recorded_at, and neither name nor event says it")


command = ingest
