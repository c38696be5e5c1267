"""The histories, in the Python kit: in the order of the file, and in other mutual orders of the topics."""

from __future__ import annotations

import random
from collections import defaultdict
from pathlib import Path

import pytest

from kits.history import HISTORIES, History, lines_of, load
from kits.written_histories import written
from reelwire_client import Assembler, Ended, Record, Restarted, TextAdded

pytestmark = pytest.mark.unit

PATHS = sorted(HISTORIES.glob("*.json"))
ORDERS = 40


def _ids(path: Path) -> str:
    return path.stem


def _interleaved(records: list[Record], seed: int) -> list[Record]:
    """The records in another order, in which those of one topic and partition keep theirs."""
    logs: dict[tuple[str, int], list[Record]] = defaultdict(list)
    for record in records:
        logs[record.topic, record.partition].append(record)
    chance, left = random.Random(seed), [log[::-1] for log in logs.values()]
    mixed = []
    while left := [log for log in left if log]:
        mixed.append(chance.choice(left).pop())
    return mixed


def _ends(history: History, records: list[Record]) -> dict[str, list[list[str | None]]]:
    assembler = Assembler(**history.options)
    shown: dict[str, str] = defaultdict(str)
    ends: dict[str, list[list[str | None]]] = defaultdict(list)
    for record in records:
        for change in assembler.take(record):
            match change:
                case TextAdded(stream, _, text):
                    assert text
                    shown[str(stream)] += text
                case Restarted(stream):
                    shown.pop(str(stream), None)
                case Ended(stream, completion):
                    text_shown = shown.pop(str(stream), "")
                    completed = completion["type"] == "completed"
                    ends[str(stream)].append([completion["type"], text_shown if completed else None])
    return ends


@pytest.mark.parametrize("path", PATHS, ids=_ids)
def test_a_history_in_its_order_has_the_changes_that_are_expected(path: Path) -> None:
    history = load(path)
    assembler = Assembler(**history.options)

    changes = [change for record in history.records for change in assembler.take(record)]

    assert lines_of(changes) == history.changes
    assert (assembler.live == 0) <= (assembler.held == 0)


@pytest.mark.parametrize("path", PATHS, ids=_ids)
def test_whatever_the_mutual_order_of_topics_the_text_shown_at_the_end_is_the_completion_s(path: Path) -> None:
    history = load(path)
    if history.ends is None:
        assert history.options, "only a history of bounds depends on the order"
        return

    for seed in range(ORDERS):
        assert _ends(history, _interleaved(history.records, seed)) == history.ends, f"order {seed}"


def test_the_files_are_those_that_the_script_makes() -> None:
    made = {f"{history.name}.json": history.text() for history in written()}
    committed = {path.name: path.read_text(encoding="utf-8") for path in PATHS if not path.stem.startswith("recorded")}

    assert committed == made
