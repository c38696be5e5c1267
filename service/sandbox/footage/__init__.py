"""Video for demo, tests and benchmarks: one shipped sample and a generator of small distinct clips."""

from __future__ import annotations

from pathlib import Path

from service.sandbox.footage.clip import make_video

__all__ = ["make_video", "sample_video"]


def sample_video() -> Path:
    """The shipped sample: 24 seconds, four scenes, motion and sound, under 2 MB."""
    return Path(__file__).with_name("sample.mp4")
