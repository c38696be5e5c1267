"""The page of error codes has every code, says what to do about it, and has none that does not exist."""

from __future__ import annotations

import re

import pytest

from contracts.codes import DeadLetterCode, ErrorCode
from service.settings import Settings
from service.settings.sources import members
from tests.docs.pages import page

pytestmark = pytest.mark.unit

SECTIONS = dict(re.findall(r"^### (\w+)\n(.*?)(?=^##|\Z)", page("reference/error-codes.md"), re.M | re.S))


@pytest.mark.parametrize("code", [*ErrorCode, *DeadLetterCode])
def test_every_code_has_a_section_with_its_meaning_and_what_to_do(code: str) -> None:
    meaning, _, todo = SECTIONS[code].partition("*To do:*")

    assert len(meaning.split()) >= 4
    assert len(todo.split()) >= 4


def test_no_section_is_about_a_code_that_does_not_exist() -> None:
    assert set(SECTIONS) == {*ErrorCode, *DeadLetterCode}


def test_the_settings_that_the_page_names_exist() -> None:
    named = set(re.findall(r"REELWIRE_\w+", page("reference/error-codes.md")))

    assert named <= set(members(Settings))
