"""An error of this program, as it is told to others."""

from __future__ import annotations

import traceback

from service.words import kind_of


def describe(error: BaseException) -> str:
    """What is published of it: what to report. Its own text stays in the log, because it may hold secrets."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    ours = [
        frame for frame in frames if str(frame.f_globals.get("__name__", "")).startswith(("service.", "contracts."))
    ]
    where = f" in {ours[-1].f_globals['__name__']}.{ours[-1].f_code.co_name}" if ours else ""
    return f"an error of this program: {kind_of(error)}{where}; please report it with the log of this request"
