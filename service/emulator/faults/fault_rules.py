"""Decides which requests get a fault: by rules of the admin endpoint, and by directives in prompts."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

from service.emulator.bounds import number, whole_number
from service.emulator.faults.directive import Directive
from service.emulator.faults.fault import NO_FAULT, Fault, fault_from

OPERATIONS = (
    "asset_create",
    "asset_list",
    "asset_get",
    "asset_delete",
    "asset_metadata",
    "upload_create",
    "upload_list",
    "upload_get",
    "upload_report",
    "upload_urls",
    "chunk_put",
    "analyze_stream",
    "analyze_sync",
    "task_create",
    "task_list",
    "task_get",
    "task_cancel",
    "task_delete",
    "batch_create",
    "batch_list",
    "batch_get",
    "batch_results",
    "batch_cancel",
    "batch_delete",
)
_MATCHING = {"operation", "path", "contains", "nth", "skip", "times", "probability", "seed", "do"}


@dataclass(slots=True)
class FaultRule:
    """A fault, and the conditions of the requests that get it. All conditions must be met."""

    number: int
    fault: Fault
    operations: frozenset[str]
    """Empty means every operation."""
    path: str | None
    """A text that the path must contain."""
    contains: str | None
    """A text that the request must contain: in its JSON body, or in the file name and URL of its form."""
    skip: int
    """How many matching requests are left alone first."""
    times: int | None
    """How many requests the rule acts on, before it acts no more; None means no limit."""
    probability: float
    rng: random.Random
    matched: int = 0
    fired: int = 0

    def meets(self, operation: str, path: str, text: str) -> bool:
        return (
            (not self.operations or operation in self.operations)
            and (self.path is None or self.path in path)
            and (self.contains is None or self.contains in text)
        )

    def acts_on_next(self) -> bool:
        """Count a matching request, and decide whether it gets the fault."""
        self.matched += 1
        if self.matched <= self.skip or (self.times is not None and self.fired >= self.times):
            return False
        if self.probability < 1 and self.rng.random() >= self.probability:
            return False
        self.fired += 1
        return True

    def as_json(self) -> dict[str, Any]:
        return {
            "id": self.number,
            "operation": sorted(self.operations),
            "path": self.path,
            "contains": self.contains,
            "skip": self.skip,
            "times": self.times,
            "probability": self.probability,
            "matched": self.matched,
            "fired": self.fired,
            "do": {name: value for name, value in asdict(self.fault).items() if value is not None},
        }


@dataclass(slots=True)
class FaultRules:
    """All rules of an emulator, and the counts of its directives."""

    rules: list[FaultRule] = field(default_factory=list)
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))
    _directives: Counter[str] = field(default_factory=Counter)

    def add(self, given: Any) -> FaultRule:
        """Add the rule that `given` describes; raises `ValueError`.

        Its members are those of `FaultRule`, with `operation` (one or a list), `nth` (for `skip` and `times` 1),
        `seed` and `do` (the fault).
        """
        if not isinstance(given, dict):
            raise ValueError("a rule must be a JSON object")
        wrong = given.keys() - _MATCHING
        if wrong:
            raise ValueError(f"a rule has no member {', '.join(sorted(wrong))}; it has {', '.join(sorted(_MATCHING))}")
        named = given.get("operation") or []
        listed = named if isinstance(named, list) else [named]
        if not all(isinstance(item, str) and item in OPERATIONS for item in listed):
            raise ValueError(f"operation must be of {', '.join(OPERATIONS)}")
        action = given.get("do")
        if not isinstance(action, dict) or not action:
            raise ValueError("do must be an object with at least one member of a fault")
        for name in ("path", "contains"):
            if not isinstance(given.get(name), str | None):
                raise ValueError(f"{name} must be a text")
        nth, times = given.get("nth"), given.get("times")
        index = next(self._numbers)
        rule = FaultRule(
            number=index,
            fault=fault_from(action),
            operations=frozenset(listed),
            path=given.get("path"),
            contains=given.get("contains"),
            skip=whole_number("skip", given.get("skip", 0), 0) if nth is None else whole_number("nth", nth, 1) - 1,
            times=1 if nth is not None else None if times is None else whole_number("times", times, 0),
            probability=number("probability", given.get("probability", 1), 0, 1),
            rng=random.Random(whole_number("seed", given.get("seed", index), 0)),
        )
        self.rules.append(rule)
        return rule

    def clear(self, number: int | None = None) -> int:
        """Remove one rule, or all of them; returns how many were removed."""
        before = len(self.rules)
        self.rules = [rule for rule in self.rules if number is not None and rule.number != number]
        return before - len(self.rules)

    def for_request(self, operation: str, path: str, text: str, *, early: bool = False) -> Fault:
        """The fault of a request, by all rules. Before its body is read, `early` is true and only early rules count."""
        found = NO_FAULT
        for rule in self.rules:
            if bool(rule.fault.early) == early and rule.meets(operation, path, text) and rule.acts_on_next():
                found = rule.fault.over(found)
        return found

    def for_directive(self, operation: str, identity: str, directive: Directive | None) -> Fault:
        """The fault that a prompt asks for. `times` is counted for each `identity` (key, custom id or prompt)."""
        if directive is None:
            return NO_FAULT
        if directive.times is not None:
            counted = f"{operation}\n{identity}\n{directive.text}"
            self._directives[counted] += 1
            if self._directives[counted] > directive.times:
                return NO_FAULT
        return directive.fault
