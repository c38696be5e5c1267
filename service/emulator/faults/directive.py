"""The directive that asks for a fault inside a prompt.

It is `[[emulate: name=value name=value]]` anywhere in a prompt, or in the description of a segment definition. The
names are the members of `Fault`, with `fail` for `status`. `times=N` lets it act only on the first N requests with
that directive, counted for each idempotency key, custom id or prompt.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from service.emulator.bounds import whole_number
from service.emulator.faults.fault import Fault, fault_from

# Every repeat is bounded, so that no prompt takes more than linear time.
_DIRECTIVE = re.compile(r"\[\[\s{0,8}emulate:([^\[\]]{0,1000})\]\]")


@dataclass(frozen=True, slots=True)
class Directive:
    """What a prompt asks the emulator for, and the prompt without it."""

    text: str
    prompt: str
    fault: Fault
    times: int | None


def directive_in(prompt: str) -> Directive | None:
    """The first directive of a prompt; further ones are only taken out. Raises `ValueError` for a wrong one."""
    found = _DIRECTIVE.search(prompt)
    if found is None:
        return None
    values: dict[str, Any] = {}
    for word in found.group(1).split():
        name, equals, value = word.partition("=")
        values[name] = value if equals else "true"
    given = values.pop("times", None)
    times = None if given is None else whole_number("times", given, 0)
    return Directive(found.group(0), _without_directives(prompt), fault_from(values), times)


def _without_directives(prompt: str) -> str:
    parts, at = [], 0
    for found in _DIRECTIVE.finditer(prompt):
        parts.append(prompt[at : found.start()].strip())
        at = found.end()
    return " ".join((*parts, prompt[at:].strip())).strip()
