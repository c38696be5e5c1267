"""The service under a sampling profiler: `python -m benchmarks.profiled run`, everything else as `reelwire run`.

Samples fall by CPU time, not by the clock, so waiting costs nothing and the process stays nearly as fast as it is.
They are taken from when the service runs, so imports do not count. Time in the event loop's own system calls shows at
the function that runs next.
What was seen is written as JSON to the file that `BENCH_PROFILE` names when the service ends.
"""

from __future__ import annotations

import json
import os
import signal
from collections import Counter
from pathlib import Path
from types import FrameType

from service import app
from service.cli import main
from service.settings import Settings
from service.telemetry.status_line import StatusLine

_EVERY_SECONDS = 0.002
_AREAS = ("uvloop", "aiokafka", "aiohttp", "httpx", "httpx_aiohttp", "pydantic", "prometheus_client", "structlog")
_OURS = ("service", "contracts")


class Sampler:
    """Counts where the main thread is: the function itself, and the part of the program it belongs to."""

    def __init__(self) -> None:
        self.functions: Counter[str] = Counter()
        self.areas: Counter[str] = Counter()

    def __call__(self, _number: int, frame: FrameType | None) -> None:
        if frame is None:
            return
        code = frame.f_code
        area, file = _area(code.co_filename)
        self.functions[f"{code.co_qualname} ({file})"] += 1
        self.areas[area] += 1

    def dump(self, file: Path) -> None:
        total = max(1, sum(self.areas.values()))
        shares = {
            name: [[what, round(count / total, 4)] for what, count in counter.most_common(25)]
            for name, counter in (("areas", self.areas), ("functions", self.functions))
        }
        file.write_text(json.dumps({"samples": total, **shares}))


def _area(filename: str) -> tuple[str, str]:
    """Whose code a file is, and a short name of it."""
    parts = Path(filename).parts
    for name in (*_OURS, *_AREAS):
        if name in parts:
            short = parts[len(parts) - 1 - parts[::-1].index(name) :]
            return (f"reelwire: {'/'.join(short[:2])}" if name in _OURS else name), "/".join(short)
    if "asyncio" in parts and filename.endswith("runners.py"):
        return "event loop and system calls", "uvloop"
    return "Python's own library", "/".join(parts[-2:])


def _sampled_while_it_runs(sampler: Sampler) -> None:
    serve = app.run

    async def run(settings: Settings, status: StatusLine | None = None) -> None:
        signal.setitimer(signal.ITIMER_PROF, _EVERY_SECONDS, _EVERY_SECONDS)
        try:
            await serve(settings, status)
        finally:  # not later: the command may leave without Python's own end
            signal.setitimer(signal.ITIMER_PROF, 0)
            sampler.dump(Path(os.environ["BENCH_PROFILE"]))

    app.run = run


if __name__ == "__main__":
    _sampler = Sampler()
    signal.signal(signal.SIGPROF, _sampler)
    _sampled_while_it_runs(_sampler)
    main()
