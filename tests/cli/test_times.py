"""Moments, durations and rates on a command line."""

from __future__ import annotations

import time

import click
import pytest

from service.cli.times import Moment, Rate, duration_seconds

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("30m", 1_800), ("30min", 1_800), ("2h", 7_200), ("1d", 86_400), ("1d2h3m4s", 93_784), ("0s", 0)],
)
def test_durations(text: str, seconds: int) -> None:
    assert duration_seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "5", "h", "1h1d", "-5m", "1.5h", "2 h", "tomorrow"])
def test_other_texts_are_no_duration(text: str) -> None:
    assert duration_seconds(text) is None


def test_a_moment_is_ahead_or_back_from_now_or_absolute() -> None:
    now = time.time()
    assert Moment(ahead=True).convert("2h", None, None) == pytest.approx(now + 7_200, abs=5)
    assert Moment(ahead=False).convert("2h", None, None) == pytest.approx(now - 7_200, abs=5)
    assert Moment(ahead=False).convert("2026-03-04T05:00:00Z", None, None) == 1_772_600_400


@pytest.mark.parametrize(
    ("text", "words"), [("soon", "RFC 3339"), ("2026-03-04T05:00:00", "offset"), ("2020-01-01T00:00:00Z", "is past")]
)
def test_a_wrong_moment_says_what_to_write(text: str, words: str) -> None:
    with pytest.raises(click.BadParameter, match=words):
        Moment(ahead=True).convert(text, None, None)


@pytest.mark.parametrize(
    ("text", "a_second"), [("5", 5), ("5/s", 5), ("30/min", 0.5), ("1800/h", 0.5), ("0.5", 0.5), ("100000", 1e5)]
)
def test_rates(text: str, a_second: float) -> None:
    assert Rate().convert(text, None, None) == a_second


@pytest.mark.parametrize("text", ["9" * 400, "1" + "0" * 7, "0.01/h", "0." + "0" * 330 + "1"])
def test_a_rate_of_no_use_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter, match=r"write a (rate between one a day|number of requests)"):
        Rate().convert(text, None, None)


def test_a_duration_without_end_is_none() -> None:
    assert duration_seconds("9" * 400 + "d") is None


@pytest.mark.parametrize("text", ["0", "-1", "fast", "5/day", "5/"])
def test_a_wrong_rate_says_what_to_write(text: str) -> None:
    with pytest.raises(click.BadParameter, match="30/min"):
        Rate().convert(text, None, None)
