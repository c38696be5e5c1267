"""A group that says for a moment that it has no offset, as a broker does that goes down or comes up."""

from __future__ import annotations

from typing import Any, cast

import pytest

from service.clock import SystemClock
from service.kafka.takeover.input_position import Lapse, find_position
from service.kafka.takeover.log_reader import LogReader
from service.settings import load_settings

pytestmark = pytest.mark.unit


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.kafka.takeover.input_position._AGAIN_SECONDS", 0.0)


class Answers:
    """A group whose answers come in turn; the last one for ever."""

    assignment: Any = None

    def __init__(self, *offsets: int | None) -> None:
        self._offsets = list(offsets)
        self.asked = 0

    async def committed(self, partition: int) -> int | None:
        self.asked += 1
        return self._offsets.pop(0) if len(self._offsets) > 1 else self._offsets[0]


class Log:
    """A requests topic with offsets 0 to 64."""

    async def bounds(self, topic: str, partition: int) -> tuple[int, int]:
        return 0, 64

    async def first_since(self, topic: str, partition: int, at_ms: int) -> int | None:
        return 30


@pytest.mark.parametrize("silent", [0, 1, 5])
async def test_an_offset_that_is_there_after_all_is_gone_on_from(silent: int) -> None:
    group = Answers(*[None] * silent, 21)
    found = await find_position(cast(LogReader, Log()), group, 4, load_settings(), SystemClock())
    assert (found.position.offset, found.position.lapse) == (21, None)
    assert group.asked == silent + 1


async def test_an_offset_that_stays_away_is_a_lapse() -> None:
    group = Answers(None)
    found = await find_position(cast(LogReader, Log()), group, 4, load_settings(), SystemClock())
    assert (found.position.offset, found.position.lapse) == (30, Lapse.FORGOTTEN)
    assert group.asked == 7
