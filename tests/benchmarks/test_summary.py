from dataclasses import asdict
from pathlib import Path

import pytest

from benchmarks.page import write_page
from benchmarks.results import Results, Row
from benchmarks.summary import targets, throughput
from benchmarks.workload import Workload


def _row(contestant: str, cpu_seconds: float, *, seconds: float = 10.0, lines: int = 1000, jobs: int = 10) -> Row:
    return {
        "contestant": contestant, "jobs": jobs, "lines": lines, "records": lines, "seconds": seconds,
        "cpu_seconds": cpu_seconds,
    }  # fmt: skip


@pytest.fixture
def results() -> Results:
    found = Results({"processor": "x"}, "a broker")
    rows = [_row("reelwire", cost) for cost in (0.1, 0.9, 0.2)] + [_row("sdk", 3.0), _row("floor", 0.1)]
    for part in ("fast", "jobs"):
        found.add(part, "command", 0.5, rows, asdict(Workload(10, 100, 0, 5)))
    return found


def test_figures_are_medians_over_the_rounds(results: Results) -> None:
    ours = throughput(results, "fast")[0]
    assert (ours.contestant, ours.rounds) == ("reelwire", 3)
    assert ours.cpu_us == pytest.approx(200)
    assert ours.spread == pytest.approx((100, 900))


def test_targets_say_what_is_met_and_what_is_missed(results: Results) -> None:
    met = {target.what.split(":")[0]: target.met for target in targets(results)}
    assert met == {
        "CPU per fragment against the SDK loop": True,
        "CPU per fragment against the floor": True,
        "jobs a second against the SDK loop": False,
    }


def test_nothing_is_promised_of_what_was_not_measured() -> None:
    assert targets(Results()) == []


def test_results_and_the_page_survive_the_way_through_the_file(results: Results, tmp_path: Path) -> None:
    results.write(tmp_path / "results.json")
    write_page(Results.read(tmp_path / "results.json"), [tmp_path / "cpu.png"], tmp_path / "page.md")
    page = (tmp_path / "page.md").read_text()
    assert "| CPU per fragment against the SDK loop" in page
    assert "![cpu](cpu.png)" in page
