"""The output of `submit --wait`: live on a terminal, JSON lines, or the text of the completion."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Protocol, Self

from rich.console import Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from service.cli.reading.output_record import OutputRecord, megabytes
from service.cli.views.output import console, elapsed, emit, note, result
from service.cli.views.request_view import Change, RequestView, summary
from service.cli.words import visible

_SAID_EVERY_SECONDS = 10


class Screen(Protocol):
    """Shows one request. A context manager, because a live screen must be closed."""

    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def submitted(self, view: RequestView, place: Mapping[str, object]) -> None:
        """Called once, when the request is in Kafka."""
        ...

    def show(self, view: RequestView, event: OutputRecord, changes: Sequence[Change]) -> None:
        """Called for each event that changed the view."""
        ...

    def tick(self, view: RequestView, seconds: float) -> None:
        """Called every second with the time since the request was sent."""
        ...

    def warn(self, text: str) -> None:
        """Something that the user may want to do something about."""
        ...


def screen_for(*, as_json: bool) -> Screen:
    """The screen for this kind of stdout."""
    if as_json:
        return JsonScreen()
    return LiveScreen() if sys.stdout.isatty() else PlainScreen()


class _Open:
    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def tick(self, view: RequestView, seconds: float) -> None:
        if round(seconds) % _SAID_EVERY_SECONDS == 0:
            note(f"{view.request_id}: {view.phase}, {elapsed(seconds)}")

    def warn(self, text: str) -> None:
        note(text)


class JsonScreen(_Open):
    """One JSON line for each event that changed something."""

    def submitted(self, view: RequestView, place: Mapping[str, object]) -> None:
        emit(place)

    def show(self, view: RequestView, event: OutputRecord, changes: Sequence[Change]) -> None:
        emit(event.as_json())


class PlainScreen(_Open):
    """For pipes and files: the text of the completion, once and alone, on stdout; everything else on stderr.

    Fragments are not written: the attempt that they belong to may not be the one that completes.
    """

    def submitted(self, view: RequestView, place: Mapping[str, object]) -> None:
        note(f"submitted {view.request_id} to partition {view.partition}, offset {view.offset}")

    def show(self, view: RequestView, event: OutputRecord, changes: Sequence[Change]) -> None:
        for change in changes:
            if change.kind not in {"text", "end"}:
                note(change.text)
        if view.ended:
            if view.succeeded and view.text:
                result(view.text)
            for name, value in summary(view):
                note(f"{name}: {value}")


class LiveScreen:
    """Phase, upload and the last lines of the text, redrawn in place. At the end the whole text and a table."""

    def __init__(self) -> None:
        self._console = console()
        self._live = Live(console=self._console, refresh_per_second=12, transient=True)
        self._spinner = Spinner("dots")
        self._seconds = 0.0

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def submitted(self, view: RequestView, place: Mapping[str, object]) -> None:
        self._live.update(self._draw(view))

    def show(self, view: RequestView, event: OutputRecord, changes: Sequence[Change]) -> None:
        for change in changes:
            if change.kind in {"note", "attempt"}:
                self._live.console.print(Text(visible(f"  {change.text}"), style="dim"))
        if view.ended:
            self._live.update(Text(""))
            self._live.stop()
            self._finish(view)
        else:
            self._live.update(self._draw(view))

    def tick(self, view: RequestView, seconds: float) -> None:
        self._seconds = seconds
        if not view.ended:
            self._live.update(self._draw(view))

    def warn(self, text: str) -> None:
        self._live.console.print(Text(visible(text), style="yellow"))

    def _draw(self, view: RequestView) -> RenderableType:
        self._spinner.update(
            text=Text.assemble((view.request_id, "bold"), f"  {view.phase}  ", (elapsed(self._seconds), "dim"))
        )
        parts: list[RenderableType] = [self._spinner]
        if view.phase == "uploading" and view.upload is not None:
            sent, total = view.upload
            row = Table.grid(padding=(0, 1))
            row.add_row(ProgressBar(total=total, completed=sent, width=40), f"{megabytes(sent)} of {megabytes(total)}")
            parts.append(row)
        if view.text:
            height = max(4, self._console.size.height - 6)
            lines = Text(visible(view.text)).wrap(self._console, self._console.size.width)
            parts.append(Text("\n").join(lines[-height:]))
        return Group(*parts)

    def _finish(self, view: RequestView) -> None:
        if view.text:
            self._console.print(Text(visible(view.text)))
        table = Table.grid(padding=(0, 2))
        for name, value in summary(view):
            table.add_row(Text(name, style="dim"), Text(visible(value)))
        self._console.print(table)
