"""Rules and dashboard ask for metrics that exist, and the dashboard can be read."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.promtool import PROMTOOL, WITHOUT, promtool
from tests.deploy.queries import board, catalogue, expressions, mistakes

pytestmark = pytest.mark.unit

PANELS: list[dict[str, Any]] = [panel for panel in board()["panels"] if panel["type"] != "row"]
ROWS = ["Are we keeping up?", "What do users feel?", "What does the platform do?", "What does it cost?"]
ROWS += ["What is wrong?", "Processes"]


def test_rules_and_dashboard_use_metrics_and_labels_that_exist() -> None:
    known = catalogue()
    found = {expression: wrong for expression in expressions() if (wrong := mistakes(expression, known))}

    assert found == {}


@pytest.mark.parametrize(
    ("expression", "wrong"),
    [
        ("sum(reelwire_jobz)", "there is no metric reelwire_jobz"),
        ('sum(reelwire_jobs{mode="stream"})', "reelwire_jobs has no label mode"),
        ("sum by (tenant) (reelwire_jobs)", "nothing here has the label tenant"),
        ("sum(reelwire:nothing:rate5m)", "there is no metric reelwire:nothing:rate5m"),
        ("vector(1)", "asks for nothing of ours"),
    ],
)
def test_a_query_for_what_does_not_exist_is_noticed(expression: str, wrong: str) -> None:
    assert wrong in mistakes(expression, catalogue())


@pytest.mark.skipif(PROMTOOL is None, reason=WITHOUT)
def test_every_query_of_the_dashboard_can_be_parsed(tmp_path: Path) -> None:
    written = [
        {"record": f"query:{number}", "expr": re.sub(r"\$__\w+", "5m", expression)}
        for number, expression in enumerate(expressions())
    ]
    file = tmp_path / "queries.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": written}]}), encoding="utf-8")

    checked = promtool("check", "rules", str(file))

    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_the_dashboard_answers_its_questions_in_order() -> None:
    rows = [panel for panel in board()["panels"] if panel["type"] == "row"]

    assert [row["title"] for row in rows] == ROWS
    for row, follower in zip(rows, [*rows[1:], None], strict=True):
        low, high = row["gridPos"]["y"], 10_000 if follower is None else follower["gridPos"]["y"]
        assert len([panel for panel in PANELS if low < panel["gridPos"]["y"] < high]) >= 6, row["title"]


def test_no_two_panels_lie_on_each_other() -> None:
    taken: dict[tuple[int, int], str] = {}
    for panel in board()["panels"]:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24, panel["title"]
        for cell in ((x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])):
            assert taken.setdefault(cell, panel["title"]) == panel["title"]


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: str(panel["title"]))
def test_a_panel_says_what_it_shows_and_in_which_unit(panel: dict[str, Any]) -> None:
    assert len(panel["description"]) > 10
    assert panel["targets"]
    assert panel["type"] == "table" or panel["fieldConfig"]["defaults"]["unit"]
    assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}


def test_titles_and_numbers_of_panels_are_their_own() -> None:
    numbers = [panel["id"] for panel in board()["panels"]]
    titles = [panel["title"] for panel in PANELS]

    assert len(numbers) == len(set(numbers))
    assert len(titles) == len(set(titles))


def test_what_is_shown_by_tenant_is_bounded() -> None:
    by_tenant = [
        target["expr"]
        for panel in PANELS
        for target in panel["targets"]
        if any("tenant" in labels for labels in re.findall(r"by \(([^)]*)\)", target["expr"]))
    ]

    assert len(by_tenant) == 2
    assert all(expression.startswith("topk(10, ") for expression in by_tenant)
