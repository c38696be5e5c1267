"""Windows on the file's own clock, and what is refused by its measures."""

from __future__ import annotations

from dataclasses import replace

import pytest

from contracts.platform_limits import IMAGE_BYTES
from service.emulator.analysis.media_rules import refused_as_asset, window_of
from service.emulator.media.footage import Footage
from service.emulator.refusals import Refusal

LATE = Footage("sha", 1, "video", "mpegts", 4.0, 640, 360, 25.0, "h264", None, 0, 0, (), starts_at=90.0)


@pytest.mark.parametrize(
    ("start", "end", "window"),
    [
        (None, None, (90.0, 94.0)),
        (91.0, None, (91.0, 94.0)),
        (None, 92.0, (90.0, 92.0)),
        (91.0, 93.0, (91.0, 93.0)),
        (0.0, 92.0, (90.0, 92.0)),
        (92.0, 94.04, (92.0, 94.0)),
    ],
)
def test_a_window_is_absolute(start: float | None, end: float | None, window: tuple[float, float]) -> None:
    assert window_of(LATE, start, end) == window


@pytest.mark.parametrize(
    ("start", "end"), [(0.0, 4.0), (94.0, None), (91.0, 99.0), (91.0, 91.9), (93.5, None), (None, 90.0)]
)
def test_a_window_outside_the_video_or_too_short_is_refused(start: float | None, end: float | None) -> None:
    with pytest.raises(Refusal):
        window_of(LATE, start, end)


def test_an_image_is_taken_up_to_its_limit() -> None:
    image = replace(LATE, kind="image", size=IMAGE_BYTES)

    assert refused_as_asset(image) is None
    assert refused_as_asset(replace(image, size=IMAGE_BYTES + 1)) is not None
