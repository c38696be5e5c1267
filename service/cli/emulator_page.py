"""The page of the emulator's behaviours, from the labels in its code."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from service.emulator.behaviours import Behaviour
from service.emulator.verification.catalogue import behaviours
from service.emulator.verification.verify import planned

Table = Callable[[Sequence[str], Iterable[Sequence[str]]], str]
_ABOUT = """
What the emulator does as the platform does it, by the labels in its code: where each behaviour is known from, where
it is in the code, and which test holds it. *Documented*: the platform's own documents say so. *Seen in the SDK*: the
official SDK relies on it, or was watched doing it. *Inferred*: no source says it.
`reelwire emulator verify --live` compares those with *yes* or *billed* in the last column with the real platform
([the emulator](../emulator.md)). The number is that of the checklist for an emulator of the platform.
"""


def behaviours_page(generated: str, table: Table) -> str:
    """The page: a summary, and a table for each area."""
    found = behaviours()
    counts = Counter(one.known_from for one in found)
    summary = ", ".join(f"{count} {known_from}" for known_from, count in sorted(counts.items()))
    parts = [f"# Behaviours of the emulator\n\n{generated}{_ABOUT}\n{len(found)} behaviours: {summary}.\n"]
    areas: dict[str, list[Behaviour]] = {}
    for one in found:
        areas.setdefault(one.name.partition(".")[0], []).append(one)
    compared = {one.name: "billed" if probe.billed else "yes" for one, probe in planned(billed=True)}
    headings = ("behaviour", "what", "known from", "item", "code", "test", "compared")
    for area, rows in areas.items():
        parts.append(f"\n## {area}\n\n{table(headings, (_row(one, compared.get(one.name, '-')) for one in rows))}")
    return "".join(parts)


def _row(one: Behaviour, compared: str) -> Sequence[str]:
    module, _, name = one.function.partition(":")
    function = f"`{module.removeprefix('service.emulator.')}` `{name}`"
    item = "" if one.item is None else str(one.item)
    return (f"`{one.name}`", one.statement, str(one.known_from), item, function, f"`{one.test}`", compared)
