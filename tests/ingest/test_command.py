"""The command: what is wrong is told before anything starts, and `check` shows what would be sent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest
from click.testing import CliRunner, Result

from service.cli.exits import CommandError
from service.cli.group import reelwire
from service.errors import SettingsError
from service.ingest.process import Watch, check
from service.ingest.rules.reading import read_rules, rules_for_folder
from service.settings import load_settings
from tests.ingest.test_notifications import GOOGLE, GOOGLE_ATTRIBUTES
from tests.ingest.world import record_of, s3_event

pytestmark = pytest.mark.unit

EXAMPLES = sorted((Path(__file__).parents[2] / "examples" / "ingest").glob("*.toml"))


def _run(*arguments: str, stdin: bytes = b"") -> tuple[Result, list[dict[str, Any]]]:
    """What the command has done, without a process of its own; and its lines of JSON."""
    done = CliRunner().invoke(reelwire, ["ingest", *arguments], input=stdin)
    lines = (
        [orjson.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
        if "--json" in arguments
        else []
    )
    return done, lines


def _rules(folder: Path) -> str:
    file = folder / "rules.toml"
    file.write_text('[[rules]]\nname = "a"\nprefix = "cams/"\nprompt = "What?"\n')
    return str(file)


def test_check_shows_the_request_of_an_event(tmp_path: Path) -> None:
    event = tmp_path / "event.json"
    event.write_bytes(
        record_of(s3_event("cams/a+b.mp4"), s3_event("x.mp4"), s3_event("cams/c", event="ObjectRemoved:Delete"))
    )
    done, lines = _run("check", "--rules", _rules(tmp_path), "--event", str(event), "--json")

    assert done.exit_code == 0, done.output
    assert [line["outcome"] for line in lines] == ["sent", "unmatched", "other"]
    assert lines[0]["request"]["video"] == {"type": "object", "uri": "s3://footage/cams/a b.mp4"}


def test_check_reads_stdin_and_headers_and_fails_for_what_would_be_rejected(tmp_path: Path) -> None:
    rules = _rules(tmp_path)
    headers = [part for name, value in GOOGLE_ATTRIBUTES.items() for part in ("--header", f"{name}={value}")]
    good, _ = _run("check", "--rules", rules, "--event", "-", *headers, stdin=orjson.dumps(GOOGLE))
    bad, _ = _run("check", "--rules", rules, "--event", "-", stdin=orjson.dumps(GOOGLE))

    assert good.exit_code == 0, good.output
    assert "would send, by rule a" in good.stdout
    assert isinstance(bad.exception, CommandError)
    assert "the attribute eventType is missing" in bad.stdout


def test_check_says_when_recorded_at_is_missing(tmp_path: Path) -> None:
    file = tmp_path / "rules.toml"
    file.write_text(
        '[[rules]]\nname = "a"\nprompt = "What?"\nrecorded_at = { pattern = "%Y%m%d_%H%M%S", zone = "UTC" }\n'
    )
    events = record_of(s3_event("none.mp4"), s3_event("20260304_050607.mp4"))
    arguments = ("check", "--rules", str(file), "--event", "-")
    people, _ = _run(*arguments, stdin=events)
    _, lines = _run(*arguments, "--json", stdin=events)

    assert people.stderr.splitlines() == [
        "recorded_at_missing: rule a asks for recorded_at, and neither name nor event says it"
    ]
    assert [line.get("recorded_at_missing") for line in lines] == [True, None]


@pytest.mark.parametrize("event", [b"[]", b'{"Records": []}'])
def test_check_says_that_a_notification_holds_no_event(tmp_path: Path, event: bytes) -> None:
    done, _ = _run("check", "--rules", _rules(tmp_path), "--event", "-", stdin=event)

    assert (done.exit_code, done.stdout) == (0, "")
    assert done.stderr == "it holds no event: nothing would be sent\n"


def test_check_counts_rules_and_topics_and_refuses_the_services_own(tmp_path: Path) -> None:
    file = Path(_rules(tmp_path))
    rule = file.read_text()
    file.write_text('topics = "a"\n' + rule)
    one, _ = _run("check", "--rules", str(file))
    file.write_text('topics = ["a", "b"]\n' + rule)
    two, _ = _run("check", "--rules", str(file))
    file.write_text(f'topics = "{load_settings().topics.requests}"\n' + rule)
    own, _ = _run("check", "--rules", str(file))

    assert "1 rule, 1 topic; give" in one.stderr
    assert "1 rule, 2 topics; give" in two.stderr
    assert "one of Reelwire's own" in str(own.exception)


@pytest.mark.parametrize("prompt", ["", "  "])
def test_an_empty_prompt_is_refused(tmp_path: Path, prompt: str) -> None:
    done, _ = _run("--watch", str(tmp_path), "--prompt", prompt)

    assert done.exit_code == 2
    assert "--prompt is empty; leave it out for the default one" in done.stderr


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.name)
def test_the_rules_of_the_examples_are_right(file: Path) -> None:
    assert read_rules(file, max_bytes=1024 * 1024).rules


def test_a_command_without_rules_or_folder_says_what_to_give() -> None:
    done, _ = _run()

    assert done.exit_code == 2
    assert "give --rules, or a folder with --watch" in done.stderr


def test_what_can_not_work_together_is_told_by_the_setting(tmp_path: Path) -> None:
    settings = load_settings()
    folder = rules_for_folder("What?", max_bytes=1024)
    with pytest.raises(SettingsError, match="REELWIRE_SOURCES__FILE_ROOTS"):
        check(settings, folder, Watch(tmp_path))
    with pytest.raises(SettingsError, match="is no folder here"):
        check(settings, folder, Watch(tmp_path / "gone"))
    with pytest.raises(SettingsError, match="there is nothing to read"):
        check(settings, folder, None)
    with pytest.raises(SettingsError, match="REELWIRE_KAFKA__DELIVERY"):
        check(load_settings(kafka={"delivery": "at_least_once"}), folder, None)
    rules = tmp_path / "rules.toml"
    rules.write_text(f'topics = "{settings.topics.requests}"\n[[rules]]\nname = "a"\nprompt = "What?"\n')
    with pytest.raises(SettingsError, match="one of Reelwire's own"):
        check(settings, read_rules(rules, max_bytes=1024), None)
