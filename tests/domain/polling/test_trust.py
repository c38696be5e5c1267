"""Looks are rare while webhooks arrive, and come back when they don't."""

from __future__ import annotations

from service.domain.polling.trust import HookTrust


def announced(trust: HookTrust, count: int, now: float) -> None:
    for number in range(count):
        trust.heard(f"t-{number}", now)
        trust.ended(f"t-{number}", now + 0.1, announced=True)


def missed(trust: HookTrust, count: int, now: float) -> None:
    for number in range(count):
        trust.ended(f"m-{number}", now, announced=False)


def test_nothing_is_trusted_at_first_and_everything_after_some_announced_ends() -> None:
    trust = HookTrust()
    assert not trust.reliable(0)
    announced(trust, 4, 1)
    assert not trust.reliable(2)
    announced(trust, 1, 2)
    assert trust.reliable(3)


def test_one_webhook_that_is_lost_changes_nothing_and_a_second_one_does() -> None:
    trust = HookTrust()
    announced(trust, 20, 0)
    missed(trust, 1, 10)
    assert trust.reliable(60)
    missed(trust, 1, 70)
    assert not trust.reliable(120)
    announced(trust, 4, 130)
    assert not trust.reliable(131)
    announced(trust, 1, 140)
    assert trust.reliable(141)


def test_a_webhook_right_after_the_look_that_found_the_end_counts() -> None:
    trust = HookTrust()
    announced(trust, 5, 0)
    for number in range(20):
        trust.ended(f"t-{number}", 10, announced=False)
        trust.heard(f"t-{number}", 12)
    assert trust.reliable(100)


def test_a_webhook_that_comes_minutes_late_does_not() -> None:
    trust = HookTrust()
    announced(trust, 5, 0)
    for number in range(2):
        trust.ended(f"t-{number}", 10, announced=False)
        trust.heard(f"t-{number}", 100)
    assert not trust.reliable(101)


def test_silence_ends_trust_until_the_next_webhook() -> None:
    trust = HookTrust()
    announced(trust, 5, 0)
    assert trust.reliable(800)
    assert not trust.reliable(1_000)
    trust.heard("t-9", 1_100)
    assert trust.reliable(1_101)
