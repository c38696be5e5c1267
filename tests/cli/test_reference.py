"""The reference pages are what the code says."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import BaseModel, Field

from service.cli.group import COMMANDS
from service.cli.messages_page import described
from service.cli.reference import pages, settings_page, write
from service.settings import Settings
from service.settings.sources import members
from service.telemetry.events import LogEvent

pytestmark = pytest.mark.unit

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"


@pytest.mark.parametrize(
    "name", ["settings.md", "metrics.md", "log-events.md", "commands.md", "messages.md", "requests.md"]
)
def test_the_committed_pages_are_current(name: str) -> None:
    committed = (REFERENCE / name).read_text(encoding="utf-8")
    assert committed == pages()[name], "run `make docs`"


def test_every_setting_log_event_and_command_has_its_place() -> None:
    found = pages()
    assert all(f"`{variable}`" in found["settings.md"] for variable in members(Settings))
    assert all(f"`{event}`" in found["log-events.md"] for event in LogEvent)
    assert all(f"## reelwire {command}\n" in found["commands.md"] for command in COMMANDS)


def test_a_setting_without_words_fails_the_build() -> None:
    class Section(BaseModel):
        said: int = Field(default=1, description="What it does.")
        unsaid: int = 2

    class Whole(BaseModel):
        part: Section = Section()

    with pytest.raises(ValueError, match="REELWIRE_PART__UNSAID has no description"):
        settings_page(Whole)


def test_a_member_of_a_message_without_words_fails_the_build() -> None:
    inner = {"properties": {"unsaid": {"type": "string"}}}
    whole = {"properties": {"said": {"type": "string", "description": "What it is."}, "in": {"$ref": "#/x/inner"}}}
    whole["properties"]["in"]["description"] = "More."
    with pytest.raises(ValueError, match=r"`in.unsaid` of the message odd has no description"):
        described("odd", whole, {"inner": inner})


def test_the_pages_are_written_where_one_says(tmp_path: Path) -> None:
    write(tmp_path / "pages")
    assert {path.name for path in (tmp_path / "pages").iterdir()} == set(pages())
