"""Print the blocks of the named packages, hashes and markers included, out of a pinned requirements file.

Used by the Dockerfile: `pick_requirements.py requirements/dev.txt av hatchling`.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path


def pick(text: str, names: list[str]) -> str:
    """The lines of `names`; one that is pinned twice, by marker, has both. `SystemExit` for a missing one."""
    wanted, picked, found, taking = set(names), [], set(), False
    for line in text.splitlines():
        start = re.match(r"([A-Za-z0-9._-]+)==", line)
        if start:
            taking = start.group(1) in wanted
            found |= {start.group(1)} & wanted
        elif not line.startswith((" ", "\t")):
            taking = False
        if taking and not line.lstrip().startswith("#"):
            picked.append(line)
    missing = wanted - found
    if missing:
        raise SystemExit(f"not pinned: {', '.join(sorted(missing))}")
    return "\n".join(picked) + "\n"


if __name__ == "__main__":
    sys.stdout.write(pick(Path(sys.argv[1]).read_text(encoding="utf-8"), sys.argv[2:]))
