"""Texts for patterns: matched by the standard library's own engine, and never expensive."""

from __future__ import annotations

import random
import re
import time

import pytest

from service.emulator.generation.pattern import text_matching
from service.emulator.refusals import Refusal


@pytest.mark.parametrize(
    "pattern",
    [
        "",
        "^$",
        "plain",
        r"^[A-Z]{2}-\d{3,4}$",
        "(a|b)+c?",
        "[^a-z]x",
        "^(foo|bar|)$",
        r"\/x\-y\.z",
        "(?:ab){2,}?",
        r"[\w.-]+@[a-z]+\.com",
        "[]a]",
        "[a-]",
        r"\x41\u00e9\n",
        r"\D\W\S",
        "(^a|b)c",
        "(((((a?)+)+)+)+)$",
        "a{0}",
    ],
)
def test_a_text_is_found_by_its_pattern(pattern: str) -> None:
    for seed in range(20):
        assert re.search(pattern, text_matching(pattern, random.Random(seed))) is not None


@pytest.mark.parametrize(
    "pattern",
    [
        "(",
        ")",
        "[",
        "[z-a]",
        "[^ -~]{0,1}[^\\d\\D]",
        "*",
        "a**",
        "a{2,1}",
        "a{x}",
        "a{99999999}",
        "\\",
        "\\1",
        "\\b",
        "\\ud83d",
        "\\x4",
        "(?=a)",
        "(?<n>a)",
        "a$b",
        "x" * 3000,
        "(" * 500 + ")" * 500,
        "((((a{999}){999}){999}){999})",
        "((((^){999}){999}){999}){999}",
        "((((a?){999}){999}){999}){999}b{99999}",
    ],
)
def test_a_pattern_that_is_wrong_unknown_or_endless_is_refused_at_once(pattern: str) -> None:
    began = time.process_time()
    with pytest.raises(Refusal) as caught:
        text_matching(pattern, random.Random(1))

    assert caught.value.status == 400
    assert len(caught.value.message) < 250
    assert time.process_time() - began < 2
