"""Where the service's CPU time goes, by a profile of it under a workload."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from benchmarks.contestants import Reelwire
from benchmarks.stage import Stage
from benchmarks.workload import Workload
from service.sandbox.program import Program


class Profiled(Reelwire):
    """Reelwire, sampled, ended in good order so that it writes what was seen."""

    name = "reelwire-profiled"

    def __init__(self, file: Path) -> None:
        super().__init__("benchmarks.profiled")
        self._file = file

    async def started(self, stage: Stage, topics: str, streams: int) -> Program:
        os.environ["BENCH_PROFILE"] = str(self._file)
        return await super().started(stage, topics, streams)

    async def over(self, program: Program) -> None:
        await program.stop()


async def profile(stage: Stage, workload: str, work: Workload) -> dict[str, Any]:
    """Run a workload under the profiler; shares of the CPU time by area and by function."""
    file = stage.folder / f"profile-{workload}.json"
    measured = await Profiled(file).measure(stage, work)
    seen: dict[str, Any] = json.loads(file.read_text())
    return {"workload": workload, "cpu_us": measured.cpu_us_per_fragment, "work": str(work), **seen}
