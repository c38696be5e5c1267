"""The files of the console's page: what a program can check of them without a browser."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.console.browser.stand_in import PAGES

pytestmark = pytest.mark.unit

SCRIPTS = sorted(PAGES.rglob("*.js"))
STYLES = sorted((PAGES / "styles").glob("*.css"))
LARGEST_FILE = 350
# Ways in which a text becomes markup or code.
DANGEROUS = re.compile(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|DOMParser|srcdoc")
# Text, and what it stands on.
PAIRS = (
    *(
        ("text", ground)
        for ground in ("ground", "surface", "raised", "sunk", "accent-soft", "broken-soft", "waits-soft")
    ),
    *(
        ("dim", ground)
        for ground in ("ground", "surface", "raised", "sunk", "accent-soft", "broken-soft", "waits-soft")
    ),
    *(("accent", ground) for ground in ("ground", "surface")),
    *(("broken", ground) for ground in ("surface", "raised", "broken-soft")),
    ("on-accent", "accent"),
    *(("on-bar", f"c{at}") for at in range(6)),
)


def test_every_style_is_short_and_is_loaded() -> None:
    loaded = re.findall(r'href="pages/styles/([^"]+)"', (PAGES / "index.html").read_text(encoding="utf-8"))

    assert sorted(loaded) == [path.name for path in STYLES] != []
    assert loaded[-1] == "narrow.css"  # it undoes what the others say
    assert [path.name for path in STYLES if len(path.read_text(encoding="utf-8").splitlines()) > LARGEST_FILE] == []


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_a_module_is_short_says_what_it_holds_and_makes_no_markup_of_texts(path: Path) -> None:
    text = path.read_text(encoding="utf-8")

    assert len(text.splitlines()) <= LARGEST_FILE
    assert text.startswith("/**")
    assert DANGEROUS.search(text) is None


def test_every_import_leads_to_a_file_of_the_page() -> None:
    missing = [
        f"{path.name}: {target}"
        for path in SCRIPTS
        for target in re.findall(r'from "([^"]+)"', path.read_text(encoding="utf-8"))
        if not (path.parent / target).resolve().is_file()
    ]

    assert missing == []


def test_the_page_holds_no_script_and_no_style_and_loads_nothing_from_elsewhere() -> None:
    text = (PAGES / "index.html").read_text(encoding="utf-8")

    assert re.findall(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=", text) == []
    for address in re.findall(r'(?:src|href)="([^"]+)"', text):
        assert address.startswith(("#", "pages/")), address
        if address.startswith("pages/"):
            assert (PAGES / address.removeprefix("pages/")).is_file(), address
    for style in STYLES:
        assert re.findall(r"url\(|@import", style.read_text(encoding="utf-8")) == [], style.name


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_can_be_read_on_what_it_stands_on(theme: str) -> None:
    css = (PAGES / "styles" / "base.css").read_text(encoding="utf-8")
    light, dark = re.findall(r":root \{(.*?)\}", css, re.DOTALL)[:2]
    colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", light))
    if theme == "dark":
        colours |= dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", dark))

    assert {pair: ratio for pair in PAIRS if (ratio := _contrast(colours[pair[0]], colours[pair[1]])) < 4.5} == {}


def _contrast(one: str, other: str) -> float:
    """The ratio of WCAG 2.2, from 1 to 21."""
    high, low = sorted((_luminance(one), _luminance(other)), reverse=True)
    return round((high + 0.05) / (low + 0.05), 2)


def _luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
