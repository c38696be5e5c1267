"""What MkDocs does not do by itself: the whole navigation, and links to files that are not pages of the site."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.plugins import get_plugin_logger

_log = get_plugin_logger("reelwire")
_LINK = re.compile(r"(?<!!)\[([^\]]+)\]\(((?:\.\.?/)*[^)#:\s]+)(#[^)\s]*)?\)")
_PLACES = {"decisions": "Decisions", "runbooks": "Runbooks"}
_FENCE = re.compile(r"^( *(?:```|~~~).*?^ *(?:```|~~~) *$)", re.MULTILINE | re.DOTALL)


def on_config(config: Any) -> Any:
    """Put each page that the navigation does not name under Explanation, or with the other decisions or runbooks."""
    sections = {name: pages for section in config.nav for name, pages in section.items()}
    named = set(_paths(config.nav))
    root = Path(config.docs_dir)
    for path in sorted(root.rglob("*.md")):
        name = path.relative_to(root).as_posix()
        if name in named or name.startswith("."):
            continue
        sections[_PLACES.get(name.partition("/")[0], "Explanation")].append(name)
    return config


def _paths(nav: Any) -> Iterator[str]:
    if isinstance(nav, str):
        yield nav
    for item in nav.values() if isinstance(nav, dict) else nav if isinstance(nav, list) else ():
        yield from _paths(item)


def on_page_markdown(markdown: str, *, page: Any, config: Any, **_: Any) -> str:
    """A link to a file of the repository that is no page of the site becomes its path; one to nothing is a warning."""
    here, docs = Path(page.file.abs_src_path).parent, Path(config.docs_dir)

    def plain(match: re.Match[str]) -> str:
        text, target, _anchor = match.groups()
        path = (here / target).resolve()
        if path.is_relative_to(docs):
            return match.group()
        if not path.exists():
            _log.warning("%s links to %s, which does not exist", page.file.src_path, target)
        shown = f"`{path.relative_to(docs.parent).as_posix()}`"
        return shown if text.strip("`") == shown.strip("`") else f"{text} ({shown})"

    parts = _FENCE.split(markdown)  # every second part is a block of code
    return "".join(part if index % 2 else _LINK.sub(plain, part) for index, part in enumerate(parts))
