"""When a list is worth reading."""

from __future__ import annotations

from service.domain.polling.listing import ListWorth


def test_a_few_tasks_are_looked_at_one_by_one_and_many_by_the_list() -> None:
    assert not ListWorth().by_list(10, 10, 0)
    assert not ListWorth().by_list(100, 10_000, 0)
    assert ListWorth().by_list(700, 10_000, 0)
    assert ListWorth().by_list(60, 200, 0)


def test_a_list_full_of_other_peoples_tasks_is_worth_less() -> None:
    crowded = ListWorth().after(pages=403, shown=1_000, now=0)
    assert not crowded.by_list(1_000, 10_000, 0)
    assert crowded.by_list(13_000, 10_000, 0)


def test_a_list_that_fails_or_shows_nothing_is_left_alone_for_longer_and_longer() -> None:
    worth = ListWorth().failed(0)
    assert not worth.usable(59)
    assert worth.usable(60)
    worth = worth.after(pages=10, shown=0, now=60)
    assert not worth.usable(179)
    assert worth.usable(180)
    assert worth.after(pages=13, shown=500, now=180).by_list(500, 500, 181)
