"""Writes the reference pages from the code: `python -m service.cli.reference docs/reference` (`make docs`)."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import click
from prometheus_client import CollectorRegistry
from pydantic import BaseModel, SecretStr
from pydantic_core import PydanticUndefined

from service.cli.emulator_page import behaviours_page
from service.cli.group import reelwire
from service.cli.messages_page import messages_page
from service.cli.request_page import requests_page
from service.settings import Settings
from service.settings.sources import is_secret, members
from service.telemetry.events import LogEvent
from service.telemetry.ingest_metrics import SHARED, IngestMetrics
from service.telemetry.metrics import Metrics

_GENERATED = "<!-- Made by `make docs` from the code; change it there. -->\n"


def pages() -> dict[str, str]:
    """File name and text of every page. The result depends on the code only."""
    return {
        "settings.md": settings_page(),
        "metrics.md": metrics_page(),
        "log-events.md": log_events_page(),
        "commands.md": commands_page(),
        "requests.md": requests_page(_GENERATED, _table),
        "messages.md": messages_page(_GENERATED, _table),
        "emulator-behaviours.md": behaviours_page(_GENERATED, _table),
    }


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [headings, ["---"] * len(headings), *rows]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)


def settings_page(model: type[BaseModel] = Settings) -> str:
    """The page of settings: variables by section, with type, default and meaning. `ValueError` for one without."""
    parts = [
        f"# Settings\n\n{_GENERATED}\n"
        "Environment variables, or members of the TOML file that `REELWIRE_CONFIG` names (`[kafka]`, "
        "`group_id = …`); the environment wins. A wrong one stops the start with its name. "
        "Lists are JSON or separated by commas. `reelwire config` shows what is in effect.\n"
    ]
    by_section: dict[str, list[Sequence[str]]] = {}
    for variable, (section, _name, field) in members(model).items():
        default = field.default
        if default is None or default == () or isinstance(default, SecretStr) or default is PydanticUndefined:
            shown = "-"
        else:
            shown = f"`{str(default).lower() if isinstance(default, bool) else default}`"
        meaning = field.description or ""
        if not meaning.strip():
            raise ValueError(f"{variable} has no description: say in its field what it does")
        if is_secret(field):
            meaning = f"{meaning} (secret)".strip()
        by_section.setdefault(section, []).append((f"`{variable}`", _values(field.annotation), shown, meaning))
    for section, rows in by_section.items():
        kind = model.model_fields[section].annotation
        about = inspect.getdoc(kind) if isinstance(kind, type) and issubclass(kind, BaseModel) else ""
        parts.append(f"\n## {section}\n\n{about}\n\n{_table(('variable', 'type', 'default', 'meaning'), rows)}")
    return "".join(parts)


def _values(annotation: object) -> str:
    text = str(annotation)
    literal = re.search(r"Literal\[(.*?)\]", text)
    if literal:
        return literal.group(1).replace("'", "`")
    if "tuple" in text:
        return "list"
    for word, shown in (("SecretStr", "text"), ("Path", "path"), ("bool", "true, false")):
        if word in text:
            return shown
    return {"int": "integer", "float": "number", "str": "text"}.get(getattr(annotation, "__name__", ""), "text")


def metrics_page() -> str:
    """The page of metrics, in the order of the catalogue."""
    rows = []
    shared: list[str] = []
    whole = Metrics()
    for member, metric in (*vars(whole).items(), *vars(IngestMetrics(whole.registry)).items()):
        if isinstance(metric, CollectorRegistry):
            continue
        for family in metric.describe():
            name = family.name + ("_total" if family.type == "counter" else "")
            labels = ", ".join(f"`{label}`" for label in metric._labelnames) or "-"  # noqa: SLF001 - no public way
            rows.append((f"`{name}`", family.type, labels, family.documentation))
            if member in SHARED:
                shared.append(f"`{name}`")
    return (
        f"# Metrics\n\n{_GENERATED}\nServed at `GET /metrics`, as Prometheus text or OpenMetrics by `Accept`, "
        "next to the `process_*` metrics. `reelwire ingest` serves those that begin with `reelwire_ingest_`, and of "
        f"the others {', '.join(shared)}.\n\n{_table(('metric', 'kind', 'labels', 'meaning'), rows)}"
    )


def log_events_page() -> str:
    """The page of log events; the meanings are the comments in the catalogue."""
    parts = [f"# Log events\n\n{_GENERATED}\nThe member `event` of a line. Lines of libraries have `logger`.\n"]
    rows: list[tuple[str, str]] = []
    heading = ""
    for line in inspect.getsource(LogEvent).splitlines():
        section = re.fullmatch(r"    # (.+)", line)
        event = re.fullmatch(r'    \w+ = "(\w+)"(?:  # (.*))?', line)
        if section:
            parts.append(_section(heading, rows))
            heading, rows = section.group(1), []
        elif event:
            rows.append((f"`{event.group(1)}`", event.group(2) or ""))
    parts.append(_section(heading, rows))
    return "".join(parts)


def _section(heading: str, rows: list[tuple[str, str]]) -> str:
    return f"\n## {heading}\n\n{_table(('event', 'meaning'), rows)}" if rows else ""


def commands_page() -> str:
    """The page of commands: the help text of each."""
    parts = [f"# Commands\n\n{_GENERATED}"]
    for words, command, context in _walk(
        reelwire, click.Context(reelwire, info_name="reelwire", help_option_names=["-h", "--help"]), "reelwire"
    ):
        text = command.get_help(context)
        parts.append(f"\n## {words}\n\n```text\n{text}\n```\n")
    return "".join(parts)


def _walk(
    command: click.Command, context: click.Context, words: str
) -> Iterator[tuple[str, click.Command, click.Context]]:
    context.terminal_width = context.max_content_width = 100
    yield words, command, context
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            if child is not None:
                yield from _walk(child, click.Context(child, parent=context, info_name=name), f"{words} {name}")


def write(directory: Path) -> None:
    """Write all pages below `directory`."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (directory / name).write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    write(Path(sys.argv[1] if len(sys.argv) > 1 else "docs/reference"))
