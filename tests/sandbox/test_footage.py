"""The generator of small clips."""

from __future__ import annotations

from pathlib import Path

from service.sandbox.footage import make_video


def test_the_same_arguments_make_the_same_file_and_another_seed_another(tmp_path: Path) -> None:
    first, again, other = (
        make_video(tmp_path / f"{name}.mp4", seed=seed, seconds=1).read_bytes()
        for name, seed in (("a", 1), ("b", 1), ("c", 2))
    )

    assert first == again
    assert first != other
