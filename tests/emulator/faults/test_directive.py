"""Directives in prompts."""

from __future__ import annotations

from service.emulator.faults.directive import directive_in


def test_a_directive_is_taken_out_of_its_prompt() -> None:
    found = directive_in("Before [[emulate: fragments=3 raw_separators]] after")

    assert found is not None
    assert (found.prompt, found.fault.fragments, found.fault.raw_separators) == ("Before after", 3, True)
    assert directive_in("none here") is None
