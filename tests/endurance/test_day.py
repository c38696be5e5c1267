"""The day's traffic is what it is said to be, and what grows is found."""

from __future__ import annotations

import math
from collections import Counter
from itertools import pairwise

import pytest

from service.sandbox.broker.jars import kafka_version, read_list
from service.sandbox.broker.node import VERSION
from tests.endurance.day import HALF, Planned, body, day, disturbances, rate
from tests.endurance.run import OLDER
from tests.endurance.samples import Sample, growths

pytestmark = pytest.mark.unit


def test_the_same_seed_gives_the_same_day_and_another_one_does_not() -> None:
    assert list(day(3, hours=2)) == list(day(3, hours=2))
    assert list(day(3, hours=2)) != list(day(4, hours=2))


def test_both_halves_of_the_day_have_the_same_traffic() -> None:
    assert all(math.isclose(rate(hour), rate(hour + HALF)) for hour in (0, 3, 6, 9.5))
    halves = Counter(int(planned.hour // HALF) for planned in day(1))
    assert halves[0] == pytest.approx(halves[1], rel=0.05)


def test_records_come_in_the_order_of_their_hours_and_most_are_streams() -> None:
    planned = list(day(1))
    assert all(one.hour <= other.hour for one, other in pairwise(planned))
    kinds = Counter(one.kind for one in planned)
    assert kinds["stream"] > len(planned) * 0.45
    assert set(kinds) == {"stream", "async", "sync", "auto", "invalid", "repeat", "cancel"}


def test_density_sends_a_part_of_the_requests() -> None:
    assert len(list(day(1, density=0.1))) == pytest.approx(len(list(day(1))) / 10, rel=0.1)


def test_a_repeat_has_the_body_of_its_request() -> None:
    bodies: dict[str, object] = {}
    repeats = 0
    for planned in day(1, hours=3):
        if planned.kind == "repeat":
            made = body(planned, ["a.mp4"])
            first = bodies[planned.name]
            assert isinstance(made, dict)
            assert isinstance(first, dict)
            assert made["prompt"] == first["prompt"]
            repeats += 1
        elif planned.kind not in ("cancel", "invalid"):
            bodies[planned.name] = body(planned, ["a.mp4"])
    assert repeats > 10


def test_the_broker_is_upgraded_once_at_noon_between_deploys_and_crashes() -> None:
    assert [one.hour for one in disturbances() if one.action == "upgrade"] == [HALF]
    assert Counter(one.action for one in disturbances()) == {"replace": 12, "kill": 6, "upgrade": 1}


def test_what_grows_between_the_halves_is_found_and_what_follows_the_traffic_is_not() -> None:
    def samples(name: str, grows: float) -> list[Sample]:
        hours = [hour / 4 for hour in range(96)]
        return [Sample(hour, name, 100 + 20 * rate(hour) / rate(6) + grows * hour) for hour in hours]

    found = growths([*samples("memory of the service", 1.5), *samples("memory of the emulator", 0.2)])

    assert {one.name: one.flat for one in found} == {"memory of the service": False, "memory of the emulator": True}


def test_takeovers_count_at_any_hour() -> None:
    early, late = (Sample(hour, "takeover, after the kill", value) for hour, value in ((2.25, 3.0), (22.25, 12.0)))
    (growth,) = growths([early, late])
    assert not growth.flat
    assert "GROWS" in str(growth)


def test_the_older_broker_is_a_version_before_the_committed_one() -> None:
    assert kafka_version(read_list(OLDER.read_text(encoding="utf-8"))) < kafka_version(read_list()) == VERSION


def test_a_cancel_names_its_request() -> None:
    planned = Planned(1.0, "cancel", "day1-7", b"cam1", "t1", 0)
    assert body(planned, ["a.mp4"]) == {"type": "cancel", "request_id": "day1-7"}
