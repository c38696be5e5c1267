"""Writes the shipped sample anew: `python -m service.sandbox.footage [PATH]`."""

from __future__ import annotations

import sys
from pathlib import Path

from service.sandbox.footage import make_video, sample_video

make_video(
    Path(sys.argv[1]) if len(sys.argv) > 1 else sample_video(),
    seed=7,
    seconds=24.0,
    size=(640, 360),
    fps=20,
    scenes=4,
)
