"""The file that `demo --keep` writes for another terminal."""

from __future__ import annotations

import stat
import subprocess
from pathlib import Path

from service.sandbox.demo.demo import write_environment


def test_a_shell_reads_every_value_as_it_is_and_nobody_else_can(tmp_path: Path) -> None:
    path = tmp_path / "env"
    odd = {"REELWIRE_A": "a b'c\"$HOME`x`", "REELWIRE_B": "http://127.0.0.1:1/v1.3,/x"}
    write_environment(path, odd)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    script = f'. {path}; printf "%s\\n%s" "$REELWIRE_A" "$REELWIRE_B"'
    told = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True, timeout=30)
    assert told.stdout.split("\n") == list(odd.values())
