"""The service writes to no file outside its temporary folder, has no home, and needs no rights over the machine."""

from __future__ import annotations

import base64
import os
import stat
import sys
from pathlib import Path
from typing import Any

import pytest

from service.sandbox.program import Program
from tests.conftest import MakeStage
from tests.harness.stage import Stage
from tests.support import landlock

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.skipif(not landlock.supported(), reason="this kernel has no Landlock, which takes the right to write"),
]

LARGE_BYTES = 300_000


def bound_python(folder: Path, *writable: Path) -> Path:
    """An interpreter that writes below these folders only, as in a container whose root file system is read-only."""
    script = folder / "python"
    folders = " ".join(str(path) for path in (*writable, Path("/dev")))
    script.write_text(
        f'#!/bin/sh\nexec {sys.executable} -I {landlock.__file__} {folders} -- {sys.executable} -B "$@"\n'
    )
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    return script


@pytest.fixture(scope="module")
def stage(make_stage: MakeStage) -> Stage:
    """A stage without a service yet, where files that are not tiny are sent in chunks."""
    settings = {"REELWIRE_PLATFORM__SESSION_FROM_BYTES": "100000"}
    return make_stage(settings, serve=False, emulator_options=("--chunk-bytes", "65536"))


async def test_all_kinds_of_requests_end_though_nothing_but_tmp_can_be_written(stage: Stage, tmp_path: Path) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    system = stage.system
    first = system.service()
    environment = {
        "HOME": str(tmp_path / "nowhere"),
        "TMPDIR": str(temporary),
        "REELWIRE_HTTP__PORT": system.url().rpartition(":")[2],
    }
    bound = Program(
        "bound",
        ["run"],
        {**system.environment, **environment},
        first.log_file,
        python=bound_python(tmp_path, temporary),
    )
    system.services["service"] = bound
    await bound.start()
    await bound.ready(f"{system.url()}/health/ready")
    clip, large = stage.clip(), stage.clip()
    os.truncate(large, LARGE_BYTES)
    inline = {"type": "base64_string", "base64_string": base64.b64encode(clip.read_bytes()).decode()}
    bodies: dict[str, dict[str, Any]] = {
        "streamed": stage.analyze("streamed", clip, mode="stream"),
        "called": stage.analyze("called", clip, mode="sync"),
        "tasked": stage.analyze("tasked", clip, mode="async"),
        "inline": stage.analyze("inline", mode="async", upload="inline") | {"video": inline},
        "large": stage.analyze("large", large, mode="async"),
    }
    await stage.request_producer.send_all(*bodies.values())
    await stage.request_producer.send(b"no JSON")
    seen = await stage.ended(*bodies, seconds=60)

    assert {name: (seen.completion(name) or {})["type"] for name in bodies} == dict.fromkeys(bodies, "completed")
    assert (await system.get("metrics"))[0] == 200
    assert await bound.stop() == 0
    log = bound.log_file.read_text()
    assert "ermission" not in log
    assert "ead-only" not in log


async def test_commands_write_nowhere(stage: Stage, tmp_path: Path) -> None:
    environment = {**stage.system.environment, "HOME": str(tmp_path / "nowhere")}
    programs = {
        arguments: Program(
            "bound", arguments, environment, tmp_path / f"{arguments[0]}.log", python=bound_python(tmp_path)
        )
        for arguments in (("--version",), ("config",), ("contracts", "check"), ("topics", "check"))
    }
    for program in programs.values():
        await program.start()
    for arguments, program in programs.items():
        assert await program.ended() == 0, (arguments, program.tail())


async def test_the_bound_interpreter_is_bound(tmp_path: Path) -> None:
    code = f"open({str(tmp_path / 'file')!r}, 'w')"
    log = tmp_path / "log"
    alone = ["-n", "1", "-r", "1", code]
    program = Program("bound", alone, {}, log, module="timeit", python=bound_python(tmp_path))
    await program.start()

    assert await program.ended() != 0
    assert "PermissionError" in log.read_text()
    assert not (tmp_path / "file").exists()
