from __future__ import annotations

from typing import Any

import pytest

from service.domain.job import Mode
from service.domain.modes import Refusal, analysed_seconds, billed_minutes, choose_mode, only_async
from tests.domain.builders import SCHEMA, request_of, segments

HOUR = 3600.0


@pytest.mark.parametrize(
    ("duration", "mode"),
    [
        (1.0, Mode.STREAM),
        (HOUR, Mode.STREAM),
        (HOUR + 0.001, Mode.ASYNC),
        (2 * HOUR, Mode.ASYNC),
        (None, Mode.ASYNC),
    ],
)
def test_auto_streams_what_is_known_to_be_at_most_an_hour(duration: float | None, mode: Mode) -> None:
    assert choose_mode(request_of(), duration) is mode


@pytest.mark.parametrize("mode", ["stream", "sync", "async"])
@pytest.mark.parametrize("duration", [None, 1.0, HOUR])
def test_a_mode_that_is_asked_for_is_used_up_to_an_hour_or_when_nobody_knows(mode: str, duration: float | None) -> None:
    assert choose_mode(request_of(mode=mode), duration) == Mode(mode)


@pytest.mark.parametrize("mode", ["stream", "sync"])
@pytest.mark.parametrize("window", [{}, {"start_time": 0, "end_time": 60}])
def test_synchronous_modes_refuse_a_file_over_an_hour_whatever_the_window(mode: str, window: dict[str, Any]) -> None:
    refusal = choose_mode(request_of(mode=mode, **window), HOUR + 1)
    assert isinstance(refusal, Refusal)
    assert refusal.code == "mode_not_possible"
    assert mode in refusal.message
    assert "async" in refusal.message


@pytest.mark.parametrize("mode", ["async", "auto"])
@pytest.mark.parametrize(
    ("duration", "window", "possible"),
    [
        (2 * HOUR, {}, True),
        (2 * HOUR + 1, {}, False),
        (2 * HOUR + 1, {"start_time": 1}, True),
        (4 * HOUR, {"start_time": 0, "end_time": 2 * HOUR}, True),
        (4 * HOUR, {"end_time": 2 * HOUR}, True),
        (4 * HOUR, {"end_time": 2 * HOUR + 1}, False),
        (4 * HOUR, {"start_time": 2 * HOUR}, True),
        (4 * HOUR, {"start_time": 2 * HOUR - 1}, False),
        (4 * HOUR + 1, {"start_time": 0, "end_time": 60}, False),
    ],
)
def test_a_task_takes_two_hours_or_four_with_a_window_of_two(
    mode: str, duration: float, window: dict[str, Any], possible: bool
) -> None:
    chosen = choose_mode(request_of(mode=mode, **window), duration)
    if possible:
        assert chosen is Mode.ASYNC
    else:
        assert isinstance(chosen, Refusal)
        assert chosen.code == "mode_not_possible"


@pytest.mark.parametrize("mode", ["async", "auto"])
def test_segments_are_a_task_however_short_the_video(mode: str) -> None:
    request = request_of(mode=mode, **segments())
    assert only_async(request)
    assert choose_mode(request, 10.0) is Mode.ASYNC


def test_unlimited_output_is_a_task() -> None:
    request = request_of(max_tokens="unlimited", model_name="pegasus1.6", **segments())
    assert only_async(request)


def test_json_after_a_schema_can_be_streamed() -> None:
    request = request_of(response_format=SCHEMA)
    assert not only_async(request)
    assert choose_mode(request, 10.0) is Mode.STREAM


def test_images_are_not_billed_by_the_minute() -> None:
    request = request_of(
        video=None, image=[{"type": "url", "name": "a", "url": "https://e.com/a.png"}], model_name="pegasus1.6"
    )
    assert analysed_seconds(request, None) is None
    assert billed_minutes(request, None) == 0.0


@pytest.mark.parametrize(
    ("window", "duration", "seconds"),
    [
        ({}, 90.0, 90.0),
        ({}, None, None),
        ({"start_time": 30}, 90.0, 60.0),
        ({"start_time": 30}, None, None),
        ({"end_time": 30}, None, 30.0),
        ({"start_time": 10, "end_time": 30}, None, 20.0),
        ({"start_time": 10, "end_time": 300}, 90.0, 90.0),
        ({"start_time": 91, "end_time": 93}, 10.0, 2.0),  # the file's clock starts at 90
        ({"start_time": 100, "end_time": 300}, 90.0, 90.0),
        ({"start_time": 91}, 10.0, None),
        ({}, 1.23456, 1.235),
    ],
)
def test_what_is_analysed_is_the_window_within_the_video(
    window: dict[str, Any], duration: float | None, seconds: float | None
) -> None:
    assert analysed_seconds(request_of(**window), duration) == seconds


def test_segments_are_billed_once_per_definition() -> None:
    assert billed_minutes(request_of(), 90.0) == 1.5
    assert billed_minutes(request_of(response_format=SCHEMA), 90.0) == 1.5
    assert billed_minutes(request_of(**segments(3)), 90.0) == 4.5
    assert billed_minutes(request_of(start_time=30, end_time=60, **segments(2)), 90.0) == 1.0
    assert billed_minutes(request_of(**segments(3)), None) is None
