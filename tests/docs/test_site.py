"""The site is built strictly, without a network, and asks nobody else for anything when it is read."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.docs.pages import DOCS, ROOT

pytestmark = pytest.mark.integration

_NO_NETWORK = """
import socket


def refuse(*_):
    raise OSError("the site must be built without a network")


socket.socket.connect = socket.socket.connect_ex = refuse
"""
_LOADED = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src", "video": "src"}


class Loaded(HTMLParser):
    """What a browser loads by itself for a page, and whether the page has a diagram that needs a library."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.diagrams = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        members = dict(attrs)
        self.diagrams += "mermaid" in (members.get("class") or "").split()
        address = members.get(_LOADED.get(tag, ""))
        if address and members.get("rel") not in ("canonical", "next", "prev"):
            self.addresses.append(address)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "sitecustomize.py").write_text(_NO_NETWORK)
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder / "out")],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(folder), "NO_MKDOCS_2_WARNING": "1", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    said = built.stdout + built.stderr
    assert (built.returncode, "WARNING" in said) == (0, False), said
    return folder / "out"


def test_every_page_is_in_the_site(site: Path) -> None:
    pages = {path.relative_to(DOCS).with_suffix(".html") for path in DOCS.rglob("*.md") if ".site" not in path.parts}

    assert {page for page in pages if not (site / page).exists()} == set()
    assert len(pages) > 60


def test_every_page_is_in_the_navigation(site: Path) -> None:
    shown = (site / "index.html").read_text(encoding="utf-8")
    for path in DOCS.rglob("*.md"):
        name = path.relative_to(DOCS).with_suffix(".html").as_posix()
        assert name.startswith((".site", "index.html")) or f'href="{name}"' in shown, name


def test_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    for path in site.rglob("*.html"):
        loaded = Loaded()
        loaded.feed(path.read_text(encoding="utf-8"))
        assert [address for address in loaded.addresses if re.match(r"(https?:)?//", address)] == [], path
        assert loaded.diagrams == 0, f"{path}: diagrams are drawn by a library from elsewhere; use text or an SVG file"
    for path in site.rglob("*.css"):
        assert not re.search(r"(@import|url\()\s*[\"']?(https?:)?//", path.read_text(encoding="utf-8")), path


def test_lists_tables_and_code_are_shown_as_such(site: Path) -> None:
    """A list needs an empty line before it here, though not everywhere: what is not understood stays as plain text."""
    raw = re.compile(r"(^|\n|<p>)\s*([-*] |\d+\. |\|[- ]|```|~~~|\?\?\? |!!! )")
    for path in site.rglob("*.html"):
        for paragraph in re.findall(r"<p>.*?</p>", path.read_text(encoding="utf-8"), re.DOTALL):
            assert not raw.search(paragraph), f"{path.relative_to(site)}: {paragraph}"


def test_a_link_out_of_the_site_is_shown_as_a_path(site: Path) -> None:
    shown = (site / "guarantees.html").read_text(encoding="utf-8")

    assert "the contract (<code>contracts/README.md</code>)" in shown
