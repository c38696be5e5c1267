"""What is measured in a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from service.emulator.media.footage import UnreadableFootage
from service.emulator.media.inspection import inspect
from service.sandbox.footage import make_video, sample_video


def test_the_sample_is_small_and_has_scenes_motion_and_sound() -> None:
    footage = inspect(str(sample_video()), "sha")

    assert footage.size < 2_000_000
    assert (footage.width, footage.height, len(footage.scenes)) == (640, 360, 4)
    assert all(scene.motion > 0.05 for scene in footage.scenes)
    assert all(scene.loudness is not None and scene.loudness > -50 for scene in footage.scenes)


def test_a_video_without_sound_has_no_loudness(tmp_path: Path) -> None:
    footage = inspect(str(make_video(tmp_path / "silent.mp4", seconds=1, scenes=1, sound=False)), "sha")

    assert footage.audio_codec is None
    assert footage.scenes[0].loudness is None


def test_half_a_file_is_no_video(tmp_path: Path) -> None:
    whole = sample_video().read_bytes()
    (tmp_path / "half.mp4").write_bytes(whole[: len(whole) // 2])

    with pytest.raises(UnreadableFootage):
        inspect(str(tmp_path / "half.mp4"), "sha")
