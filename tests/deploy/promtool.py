"""promtool on the rules of `deploy/prometheus`, as they are or broken on purpose."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
RULES = ROOT / "deploy" / "prometheus"
UNIT_TESTS = Path(__file__).parent / "rules" / "alerts.test.yaml"
FILES = ("slo.yaml", "alerts.yaml")
PROMTOOL = shutil.which("promtool")
WITHOUT = "promtool is not on PATH (go install github.com/prometheus/prometheus/cmd/promtool@latest)"


def groups(name: str) -> list[dict[str, Any]]:
    """The rule groups of one file."""
    found: list[dict[str, Any]] = yaml.safe_load((RULES / name).read_text(encoding="utf-8"))["groups"]
    return found


def rules(name: str) -> list[dict[str, Any]]:
    """The rules of one file, in its order."""
    return [rule for group in groups(name) for rule in group["rules"]]


def unit_tests() -> list[dict[str, Any]]:
    """The test groups that promtool runs."""
    tests: list[dict[str, Any]] = yaml.safe_load(UNIT_TESTS.read_text(encoding="utf-8"))["tests"]
    return tests


def promtool(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run it; its output is text."""
    assert PROMTOOL is not None
    return subprocess.run([PROMTOOL, *arguments], capture_output=True, text=True, timeout=120, check=False)


def run_unit_tests(folder: Path, broken: dict[tuple[str, int], str], only: list[str]) -> str:
    """What promtool says of the test groups named `only` (none named: all) when rules have other expressions.

    `broken` has them by file and place. The text is empty when all pass.
    """
    for name in FILES:
        content = {"groups": groups(name)}
        all_rules = [rule for group in content["groups"] for rule in group["rules"]]
        for (file, place), expression in broken.items():
            if file == name:
                all_rules[place]["expr"] = expression
        (folder / name).write_text(yaml.safe_dump(content), encoding="utf-8")
    content = yaml.safe_load(UNIT_TESTS.read_text(encoding="utf-8"))
    content["rule_files"] = [str(folder / name) for name in FILES]
    if only:
        content["tests"] = [test for test in content["tests"] if test["name"] in only]
        assert len(content["tests"]) == len(only)
    tests = folder / "broken.test.yaml"
    tests.write_text(yaml.safe_dump(content), encoding="utf-8")
    result = promtool("test", "rules", str(tests))
    said = result.stdout + result.stderr
    assert (result.returncode != 0) == ("FAILED" in said), said
    return said if result.returncode else ""
