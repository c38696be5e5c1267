"""The output of the demo: each request live, and a table at the end."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Group
from rich.live import Live
from rich.text import Text

from service.cli.reading.output_record import OutputRecord
from service.cli.views.output import console, emit, say, table
from service.cli.views.request_view import Change, RequestView
from service.cli.words import visible

_TEXT_LINES = 3


class DemoScreen:
    """Redrawn on a terminal, plain lines elsewhere, JSON lines with `as_json`."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._console = console()
        self._views: dict[str, RequestView] = {}
        live = sys.stdout.isatty() and not as_json
        self._live = Live(console=self._console, refresh_per_second=12, transient=False) if live else None

    def say(self, text: str, style: str = "") -> None:
        """A line about the demo itself."""
        if self._as_json:
            emit({"demo": text})
        elif self._live is not None:
            # Left to the terminal to wrap: a line that is to be copied must stay one.
            self._live.console.print(Text(text, style=style), soft_wrap=True)
        else:
            say(text)

    def __enter__(self) -> DemoScreen:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def add(self, view: RequestView) -> None:
        """Show one more request."""
        self._views[view.request_id] = view
        self._draw()

    def show(self, view: RequestView, event: OutputRecord, changes: Sequence[Change]) -> None:
        """An event has changed a request."""
        if self._as_json:
            emit(event.as_json())
            return
        if self._live is None:
            for change in changes:
                if change.kind == "text":
                    say(f"  {view.request_id}  …{change.text}")
                elif change.kind != "upload":
                    say(f"  {view.request_id}  {change.text}")
            return
        self._draw()

    def _draw(self) -> None:
        if self._live is not None:
            self._live.update(Group(*(self._panel(view) for view in self._views.values())))

    def _panel(self, view: RequestView) -> Group:
        attempt = f"  attempt {view.attempt}" if view.attempt > 1 else ""
        phase = "[done]" if view.succeeded else f"[{view.phase}]"
        head = Text.assemble((f"{view.request_id:<12}", "bold"), f" {phase}{attempt}")
        lines = Text(visible(view.text), style="dim").wrap(self._console, max(self._console.size.width - 4, 20))
        shown = Text("\n").join(Text("   ") + line for line in lines[-_TEXT_LINES:])
        return Group(head, shown) if view.text else Group(head)

    def results(self, rows: Iterable[tuple[str, RequestView, bool | None]]) -> None:
        """Show a table of completions. A row: what the request is for, its view, whether its asset was reused."""
        found = [_row(what, view, reused) for what, view, reused in rows]
        if self._as_json:
            for row in found:
                emit({"result": row})
            return
        table(list(found[0]), [list(row.values()) for row in found])


def _row(what: str, view: RequestView, reused: bool | None) -> dict[str, str]:
    body: Mapping[str, Any] = view.completion or {}
    timings, usage = body.get("timings") or {}, body.get("usage") or {}
    cost = usage.get("estimated_cost")
    return {
        "request": view.request_id,
        "what": what,
        "end": "dead letter" if view.dead_letter is not None else str(body.get("type", "missing")),
        "mode": str(body.get("mode") or ""),
        "attempts": str(body.get("attempt") or ""),
        "fragments": str(body.get("fragments") or ""),
        "asset": "" if reused is None else "reused" if reused else "uploaded",
        "upload": _seconds(timings.get("upload")),
        "first": _seconds(timings.get("first_fragment")),
        "total": _seconds(timings.get("total")),
        "cost": "" if cost is None else f"${cost:.4f}",
    }


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.2f} s"
