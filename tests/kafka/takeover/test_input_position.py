"""Where intake goes on: for every offset, log and choice."""

from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.kafka.takeover.input_position import FoundPosition, InputLog, Lapse, OffsetReset, input_position
from service.settings import KafkaSettings

pytestmark = pytest.mark.unit

RESETS = st.sampled_from(get_args(OffsetReset))


@st.composite
def logs(draw: st.DrawFn) -> InputLog:
    beginning = draw(st.integers(0, 50))
    end = draw(st.integers(beginning, 100))
    return InputLog(beginning, end, draw(st.integers(0, 120)))


@given(st.none() | st.integers(0, 150), logs(), RESETS)
def test_the_position_is_always_in_the_topic(committed: int | None, log: InputLog, reset: OffsetReset) -> None:
    position = input_position(committed, log, reset)
    assert log.beginning <= position.offset <= log.end


@given(logs(), RESETS, st.data())
def test_an_offset_in_the_topic_is_kept_and_nothing_is_said(
    log: InputLog, reset: OffsetReset, data: st.DataObject
) -> None:
    committed = data.draw(st.integers(log.beginning, log.end))
    position = input_position(committed, log, reset)
    assert (position.offset, position.lapse, position.held) == (committed, None, False)


@given(st.none() | st.integers(0, 150), logs(), RESETS)
def test_every_lapse_is_explained_and_held_only_by_stop(
    committed: int | None, log: InputLog, reset: OffsetReset
) -> None:
    position = input_position(committed, log, reset)
    if position.lapse is None:
        return
    assert position.held == (reset == "stop")
    told = FoundPosition(committed, log, position).explain(3, "requests", reset)
    assert told.startswith("partition 3: requests holds offsets")
    assert "REELWIRE_KAFKA__OFFSET_RESET" in told
    assert "None" not in told


@given(logs(), st.data())
def test_what_retention_left_is_read_from_its_beginning_unless_the_operator_wants_the_end(
    log: InputLog, data: st.DataObject
) -> None:
    """These records were never read, however old they are."""
    if log.beginning == 0:
        return
    committed = data.draw(st.integers(0, log.beginning - 1))
    for reset in ("recent", "earliest"):
        position = input_position(committed, log, reset)
        assert (position.offset, position.lapse) == (log.beginning, Lapse.EXPIRED)


@pytest.mark.parametrize("committed", [None, 50])
def test_recent_goes_back_no_further_than_the_window(committed: int | None) -> None:
    assert input_position(committed, InputLog(0, 20, 12), "recent").offset == 12
    assert input_position(committed, InputLog(0, 20, 20), "recent").offset == 20


def test_the_setting_has_the_same_choices() -> None:
    assert get_args(KafkaSettings.model_fields["offset_reset"].annotation) == get_args(OffsetReset)
