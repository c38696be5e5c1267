"""`reelwire topics acls`: whose rights it prints, and what is no question for it."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest
from click.testing import CliRunner, Result

from service.cli.group import reelwire
from service.kafka.rights.least import console_rights, ingest_rights, least_rights
from service.settings import Settings

pytestmark = pytest.mark.unit


def _acls(*arguments: str) -> Result:
    return CliRunner().invoke(reelwire, ["topics", "acls", *arguments])


def _printed(*arguments: str) -> list[str]:
    done = _acls(*arguments, "--json")
    assert done.exit_code == 0, done.output
    lines = [orjson.loads(line) for line in done.stdout.splitlines()]
    ways = {"prefixed": "{resource_type}s that begin with", "literal": "{resource_type}"}
    return [f"{one['operation']} on {ways[one['pattern']].format(**one)} {one['resource']}" for one in lines]


def test_they_are_the_services_unless_asked_otherwise() -> None:
    assert _printed() == [str(right) for right in least_rights(Settings())]
    assert _printed("--console") == [str(right) for right in console_rights(Settings())]


def test_those_of_ingest_follow_from_its_rules(tmp_path: Path) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text('topics = ["bucket-events"]\ngroup = "cams"\n\n[[rules]]\nname = "a"\nprompt = "What?"\n')

    wanted = ingest_rights(Settings(), ["bucket-events"], "cams")
    assert _printed("--ingest", "--rules", str(rules)) == [str(right) for right in wanted]
    assert _printed("--ingest") == [str(right) for right in ingest_rights(Settings(), [], "reelwire-ingest")]


def test_rules_that_ingest_refuses_print_nothing(tmp_path: Path) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text('topics = ["video.analysis.jobs.v1"]\n\n[[rules]]\nname = "a"\nprompt = "What?"\n')

    done = _acls("--ingest", "--rules", str(rules))
    assert done.exit_code != 0
    assert done.stdout == ""
    assert "one of Reelwire's own" in str(done.exception)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--console", "--ingest"], "give one of --with-checks, --console and --ingest"),
        (["--with-checks", "--ingest"], "give one of --with-checks, --console and --ingest"),
        (["--rules", "rules.toml"], "--rules goes with --ingest"),
    ],
)
def test_what_does_not_go_together_is_refused(arguments: list[str], said: str) -> None:
    done = _acls(*arguments)
    assert done.exit_code == 2
    assert said in done.output
