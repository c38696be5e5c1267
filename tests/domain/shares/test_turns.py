"""Turns: nobody is lost, priorities get their shares, and a flood delays others by a turn and not by its length."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.shares.turns import LOW_EVERY, PRIORITIES, Line, Priority, Turns, line_of

pytestmark = pytest.mark.unit

LINES = st.builds(Line, st.sampled_from(PRIORITIES), st.integers(0, 3))


def flood(turns: Turns[tuple[str, int]], name: str, priority: Priority, flow: int, how_many: int) -> None:
    for number in range(how_many):
        turns.add((name, number), Line(priority, flow))


def served(turns: Turns[tuple[str, int]], how_many: int) -> list[str]:
    given_to = []
    for _ in range(how_many):
        who = turns.next()
        assert who is not None
        given_to.append(who[0])
    return given_to


@given(st.lists(st.one_of(st.tuples(st.just("add"), st.integers(0, 9), LINES), st.just("next"), st.integers(0, 9))))
def test_everyone_who_waits_gets_one_turn(steps: list[object]) -> None:
    turns: Turns[int] = Turns()
    waiting: dict[int, Line] = {}
    for step in steps:
        match step:
            case ("add", int(who), Line() as line):
                waiting.pop(who, None)
                waiting[who] = line
                turns.add(who, line)
            case "next":
                first = turns.next()
                assert (first is None) is (not waiting)
                if first is not None:
                    del waiting[first]
            case int(who):
                waiting.pop(who, None)
                turns.remove(who)
        assert len(turns) == len(waiting)
    left = [turns.next() for _ in range(len(waiting))]
    assert set(left) == set(waiting)
    assert turns.next() is None


@given(st.lists(st.integers(0, 4), min_size=1, max_size=60))
def test_within_a_flow_the_first_is_served_first_and_flows_take_turns(flows: list[int]) -> None:
    turns: Turns[int] = Turns()
    for who, flow in enumerate(flows):
        turns.add(who, Line("normal", flow))
    order = [turns.next() for _ in flows]
    for flow in set(flows):
        mine = [who for who, of in enumerate(flows) if of == flow]
        assert [who for who in order if who in mine] == mine
    waiting = Counter(flows)
    since: dict[int, int] = {}
    for turn, turn_of in enumerate(order):
        assert turn_of is not None
        flow = flows[turn_of]
        others = [of for of, left in waiting.items() if left and of != flow]
        for other in others:
            # Between two turns of one flow every other that waits has had one.
            assert since.get(other, -1) >= since.get(flow, -2) or flow not in since
        since[flow] = turn
        waiting[flow] -= 1


@given(st.lists(LINES, max_size=200), st.data())
def test_low_gets_at_least_a_tenth_whatever_else_comes(lines: list[Line], data: st.DataObject) -> None:
    turns: Turns[int] = Turns()
    turns.add(-1, Line("low", 0))
    without = 0
    for who, line in enumerate(lines):
        turns.add(who, line if line.priority != "low" else Line("high", line.flow))
        if data.draw(st.booleans()):
            if turns.next() == -1:
                turns.add(-1, Line("low", 0))
                without = 0
            else:
                without += 1
        assert without < LOW_EVERY


def test_priorities_that_all_wait_share_the_turns_by_weight() -> None:
    turns: Turns[tuple[str, int]] = Turns()
    for flow, priority in enumerate(PRIORITIES):
        flood(turns, priority, priority, flow, 2_000)
    shares = Counter(served(turns, 1_000))
    assert shares["low"] == 100
    assert 3.8 < shares["high"] / shares["normal"] < 4.2


def test_normal_and_low_alone_share_four_to_one() -> None:
    turns: Turns[tuple[str, int]] = Turns()
    flood(turns, "normal", "normal", 0, 2_000)
    flood(turns, "low", "low", 1, 2_000)
    shares = Counter(served(turns, 1_000))
    assert shares["low"] == 200


@pytest.mark.parametrize("of", ["normal", "low"])
def test_an_incident_behind_thousands_is_next(of: Priority) -> None:
    turns: Turns[tuple[str, int]] = Turns()
    flood(turns, "archive", of, 0, 5_000)
    served(turns, 1_234)
    flood(turns, "incident", "high", 1, 1)
    assert "incident" in served(turns, 2)


def test_a_flood_of_one_camera_delays_anothers_request_by_one_turn() -> None:
    turns: Turns[tuple[str, int]] = Turns()
    flood(turns, "flood", "normal", 0, 1_000)
    served(turns, 10)
    flood(turns, "single", "normal", 1, 1)
    assert "single" in served(turns, 2)


def test_turns_that_low_had_for_itself_are_not_held_against_it() -> None:
    turns: Turns[tuple[str, int]] = Turns()
    flood(turns, "low", "low", 0, 10_000)
    flood(turns, "high", "high", 1, 5_000)
    assert Counter(served(turns, 6_000))["high"] == 5_000
    flood(turns, "normal", "normal", 2, 1_000)
    shares = Counter(served(turns, 500))
    assert shares["low"] >= 99


def test_who_a_flow_is() -> None:
    assert line_of("normal", "t", b"a") == line_of("normal", "t", b"b")
    assert line_of("normal", None, b"a") != line_of("normal", None, b"b")
    assert line_of("normal", "a", None) != line_of("normal", None, b"a")
    assert line_of("normal", None, None) == line_of("normal", None, None)
