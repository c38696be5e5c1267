"""What the platform refuses by duration, resolution and file size."""

from __future__ import annotations

from typing import Literal

from contracts.platform_limits import IMAGE_BYTES
from service.emulator.behaviours import KnownFrom, behaves
from service.emulator.media.footage import Footage
from service.emulator.refusals import Refusal, invalid

_MIN_SIDE = 360
_MAX_LONG, _MAX_SHORT = 5184, 2160
_MAX_ASPECT = 2.4
_MIN_SECONDS = 1.0
_HOUR = 3600.0
_ROUNDING_SECONDS = 0.05

Mode = Literal["sync", "task"]


@behaves(
    "media.shape",
    "A video is 360x360 to 5184x2160, its sides at most 1 to 2.4.",
    KnownFrom.DOCUMENTED,
    test="http/test_asset_routes.py::test_a_video_of_the_wrong_shape_becomes_a_failed_asset",
    on=("asset_create",),
    item=4,
)
def refused_as_asset(footage: Footage) -> Refusal | None:
    """Why an asset with this content becomes `failed`, or None. Duration is checked when it is analysed."""
    if footage.kind == "image" and footage.size > IMAGE_BYTES:
        return Refusal(400, "image_filesize_too_large", f"The image is larger than {IMAGE_BYTES} bytes.")
    if footage.kind != "video":
        return None
    short, long = sorted((footage.width, footage.height))
    size = f"{footage.width}x{footage.height}"
    if short < _MIN_SIDE:
        return Refusal(400, "video_resolution_too_low", f"The resolution {size} is below 360x360.")
    if long > _MAX_LONG or short > _MAX_SHORT:
        return Refusal(400, "video_resolution_too_high", f"The resolution {size} is above 5184x2160.")
    if long / short > _MAX_ASPECT:
        return Refusal(400, "video_resolution_invalid_aspect_ratio", f"The aspect ratio of {size} is beyond 1:2.4.")
    return None


@behaves(
    "media.window",
    "`start_time` and `end_time` are on the file's own clock, which need not begin at 0.",
    KnownFrom.DOCUMENTED,
    test="analysis/test_media_rules.py::test_a_window_is_absolute",
    on=(
        "analyze_stream",
        "task_create",
    ),
    item=10,
)
def window_of(footage: Footage, start: float | None, end: float | None) -> tuple[float, float]:
    """The part to analyse, in seconds on the file's own clock, which need not start at 0.

    Raises `Refusal` for a window outside the video or shorter than a second.
    """
    first, last = footage.starts_at, footage.ends_at
    lasts = f"the video goes from {first} to {last} seconds on its own clock"
    if end is not None and not first < end <= last + _ROUNDING_SECONDS:
        raise invalid(f"The end_time parameter is outside the video: {lasts}.")
    if start is not None and start >= last:
        raise invalid(f"The start_time parameter is outside the video: {lasts}.")
    begin = first if start is None else max(first, start)
    until = last if end is None else min(last, end)
    given = start is not None or end is not None
    if given and (last if end is None else end) - (first if start is None else start) < _MIN_SECONDS:
        raise invalid("start_time and end_time must be at least 1 second apart.")
    return begin, until


@behaves(
    "media.duration",
    "A synchronous analysis takes 1 second to 1 hour, a task 2 hours, or a window of 2 hours in 4.",
    KnownFrom.DOCUMENTED,
    test="http/test_analyze_routes.py::test_a_video_below_a_second_is_refused",
    on=(
        "analyze_stream",
        "analyze_sync",
        "task_create",
    ),
    item=10,
)
def refused_in_analysis(footage: Footage, mode: Mode, window_seconds: float) -> Refusal | None:
    """Why this video can't be analysed in this mode, or None."""
    if footage.kind != "video":
        return invalid(f"The video parameter is invalid: the file is of kind {footage.kind}.")
    refusal = refused_as_asset(footage)
    if refusal is not None:
        return refusal
    seconds = footage.duration
    if seconds < _MIN_SECONDS:
        return Refusal(400, "video_duration_too_short", f"The video has {seconds} seconds; at least 1 is needed.")
    if mode == "sync" and seconds > _HOUR:
        return Refusal(400, "video_duration_too_long", "The video is longer than 1 hour; create a task instead.")
    windowed = window_seconds < seconds
    if mode == "task" and (seconds > 4 * _HOUR or window_seconds > 2 * _HOUR or (seconds > 2 * _HOUR and not windowed)):
        return Refusal(400, "video_duration_too_long", "The video is longer than a task takes.")
    return None
