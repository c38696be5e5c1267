"""docs/kafka-rules.md names tests and decisions that exist, and code refers to rules that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "kafka-rules.md"
RULES = PAGE.read_text(encoding="utf-8")


@pytest.mark.parametrize("named", sorted(set(re.findall(r"`((?:tests|service)/[\w/.]+(?:::\w+)?)`", RULES))))
def test_what_it_names_exists(named: str) -> None:
    path, _, test = named.partition("::")
    assert (ROOT / path).exists(), path
    if test:
        assert f"def {test}(" in (ROOT / path).read_text(encoding="utf-8")


def test_there_are_fifteen_rules_each_held_by_something() -> None:
    parts = re.split(r"^## (\d+)\. ", RULES, flags=re.MULTILINE)[1:]
    numbers, texts = parts[::2], parts[1::2]
    assert numbers == [str(number) for number in range(1, 16)]
    assert all("`tests/" in text for text in texts)


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\(([^)]+\.md)\)", RULES))))
def test_its_links_lead_somewhere(link: str) -> None:
    assert (PAGE.parent / link).exists()


def test_code_refers_to_rules_by_this_page() -> None:
    for path in (ROOT / "service").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert "Kafka rule" not in text, path
        for numbers in re.findall(r"docs/kafka-rules\.md, rules? ([\d, ]+)", text):
            assert all(1 <= int(number) <= 13 for number in re.findall(r"\d+", numbers)), path
