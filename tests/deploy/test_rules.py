"""Alerts and recording rules: promtool's unit tests, and proof that these notice a rule that is broken."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.deploy.promtool import (
    FILES,
    PROMTOOL,
    RULES,
    UNIT_TESTS,
    WITHOUT,
    promtool,
    rules,
    run_unit_tests,
    unit_tests,
)

pytestmark = [pytest.mark.unit, pytest.mark.timeout(300)]

needs_promtool = pytest.mark.skipif(PROMTOOL is None, reason=WITHOUT)
ALERTS = rules("alerts.yaml")
RECORDS = rules("slo.yaml")
RUNBOOKS = Path(__file__).parents[2] / "docs" / "runbooks"
QUIET = unit_tests()[0]["name"]


def _firing(alert: str, severity: str) -> list[str]:
    """The test groups in which this alert fires at some time."""
    wanted = f'{{alertname="{alert}", severity="{severity}"}}'
    return [
        test["name"]
        for test in unit_tests()
        if any(sample["labels"] == wanted for part in test["promql_expr_test"] for sample in part["exp_samples"])
    ]


@needs_promtool
def test_the_rules_are_valid_and_their_unit_tests_pass() -> None:
    checked = promtool("check", "rules", "--lint=all", "--lint-fatal", *(str(RULES / name) for name in FILES))
    assert checked.returncode == 0, checked.stdout + checked.stderr

    tested = promtool("test", "rules", str(UNIT_TESTS))
    assert tested.returncode == 0, tested.stdout + tested.stderr


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: f"{rule['alert']}-{rule['labels']['severity']}")
def test_every_alert_fires_in_a_unit_test(rule: dict[str, dict[str, str]]) -> None:
    assert _firing(str(rule["alert"]), rule["labels"]["severity"])


@needs_promtool
def test_an_alert_that_never_fires_is_noticed(tmp_path: Path) -> None:
    said = run_unit_tests(tmp_path, {("alerts.yaml", place): "vector(0) > 1" for place in range(len(ALERTS))}, [])

    missed = set(re.findall(r'alertname="(\w+)", severity="(\w+)"', said))
    assert missed == {(rule["alert"], rule["labels"]["severity"]) for rule in ALERTS}


@needs_promtool
def test_an_alert_that_always_fires_is_noticed(tmp_path: Path) -> None:
    said = run_unit_tests(tmp_path, {("alerts.yaml", place): "vector(1)" for place in range(len(ALERTS))}, [QUIET])

    found = set(re.findall(r'alertname="(\w+)", severity="(\w+)"', said))
    assert found == {(rule["alert"], rule["labels"]["severity"]) for rule in ALERTS}


OVER = "late acceptance that is over wakes nobody, and is shown for six hours"


@needs_promtool
@pytest.mark.parametrize(
    ("find", "instead", "noticed_by"),
    [
        (r"> 14\.4 \* 0\.01", "> 99", OVER),
        (r" and reelwire:accepts_slow:ratio5m > 14\.4 \* 0\.01", "", OVER),
        (r"\* 30 >= 10", "* 30 >= 0", "three late requests of a quiet hour wake nobody"),
        (r'state=~"serving\|renewing"', 'state=~".*"', "two of six partitions are served by nobody"),
        (r" or vector\(0\)", "", "a process that owns nothing is there alone"),
        (r'\{reason!~"draining\|backlog"\}', "", QUIET),
        (r" and sum\(deriv\(reelwire_input_lag\[10m\]\)\) > 0", "", "lag that grows, and lag that shrinks"),
        (r"up\{job=\"reelwire\"\}", "up", "one of two does not answer"),
        (r" or max\(up.*", "", "ingest does not start"),
        (r"max\(reelwire_ingest_active\)", "min(reelwire_ingest_active)", QUIET),
        (r'status=~"5\.\.\|4\.\."', 'status=~"5.."', "every third answer of the platform is an error"),
        (r"sum by \(code\) \((?=increase)", "sum(", "a producer sends what is no request"),
    ],
)
def test_a_rule_that_is_broken_on_purpose_is_noticed(find: str, instead: str, noticed_by: str, tmp_path: Path) -> None:
    broken = {
        ("alerts.yaml", place): re.sub(find, instead, rule["expr"])
        for place, rule in enumerate(ALERTS)
        if re.search(find, rule["expr"])
    }
    assert broken, "there is no such rule any more"

    assert run_unit_tests(tmp_path, {}, [noticed_by]) == ""
    assert run_unit_tests(tmp_path, broken, [noticed_by])


@needs_promtool
@pytest.mark.parametrize(
    ("record", "noticed_by"),
    [
        ("reelwire:accepts:rate5m", "the budgets"),
        ("reelwire:accepts_slow:rate5m", "the budgets"),
        ("reelwire:answers:rate5m", "the budgets"),
        ("reelwire:answers_failed:rate5m", "the platform is away, and so a fifth of the requests fails"),
        ("reelwire:accepts_slow:ratio5m", OVER),
        ("reelwire:accepts_slow:ratio1h", OVER),
    ],
)
def test_a_recording_rule_that_is_broken_is_noticed(record: str, noticed_by: str, tmp_path: Path) -> None:
    [place] = [place for place, rule in enumerate(RECORDS) if rule["record"] == record]

    assert run_unit_tests(tmp_path, {("slo.yaml", place): "vector(0)"}, [noticed_by])


def test_every_alert_has_a_page_and_every_page_an_alert() -> None:
    pages = {f"docs/runbooks/{path.name}" for path in RUNBOOKS.glob("Reelwire*.md")}

    assert {rule["annotations"]["runbook_url"] for rule in ALERTS} == pages
    for rule in ALERTS:
        assert rule["annotations"]["runbook_url"] == f"docs/runbooks/{rule['alert']}.md"


@pytest.mark.parametrize("path", sorted(RUNBOOKS.glob("Reelwire*.md")), ids=lambda path: path.stem)
def test_a_runbook_says_what_it_means_how_to_look_and_what_to_do(path: Path) -> None:
    text = path.read_text(encoding="utf-8")

    assert text.startswith(f"# {path.stem}\n")
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == ["What it means", "Look", "Do"]
    for rule in ALERTS:
        if rule["alert"] == path.stem:
            assert rule["labels"]["severity"] in text


def test_a_runbook_names_only_metrics_events_settings_and_commands_that_exist() -> None:
    reference = RUNBOOKS.parent / "reference"
    metrics = (reference / "metrics.md").read_text(encoding="utf-8")
    events = (reference / "log-events.md").read_text(encoding="utf-8")
    settings = (reference / "settings.md").read_text(encoding="utf-8")
    commands = (reference / "commands.md").read_text(encoding="utf-8")
    for path in RUNBOOKS.glob("*.md"):
        text = path.read_text(encoding="utf-8")
        for name in re.findall(r"\breelwire_\w+", text):
            assert re.sub(r"_(bucket|sum|count)$", "", name) in metrics, (path.name, name)
        for name in re.findall(r"\bREELWIRE_\w+", text):
            assert f"`{name}`" in settings, (path.name, name)
        for name in re.findall(r"log event `(\w+)`", text):
            assert f"`{name}`" in events, (path.name, name)
        for name in re.findall(r"`reelwire ([a-z]+(?: [a-z]+)?)", text):
            assert f"reelwire {name}" in commands, (path.name, name)
