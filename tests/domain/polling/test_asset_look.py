"""How soon a new asset is noticed to be ready."""

from __future__ import annotations

import statistics

from service.domain.polling.schedule import asset_look


def test_an_asset_that_is_ready_within_seconds_is_noticed_at_once_with_few_looks() -> None:
    late, looks = [], []
    for tenths in range(1, 51):
        age, count = 0.0, 1
        while age < tenths / 10:
            age += asset_look(age, 2)
            count += 1
        late.append(age - tenths / 10)
        looks.append(count)
    assert statistics.median(late) <= 0.15
    assert max(late) <= 0.45
    assert max(looks) <= 20


def test_an_asset_that_takes_long_is_looked_at_rarely() -> None:
    assert asset_look(600, 2) == 2
    assert asset_look(6, 2) == 0.5
