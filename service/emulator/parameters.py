"""Reads typed members of a JSON body. Errors name the member as the platform does."""

from __future__ import annotations

from typing import Any

from service.emulator.refusals import Refusal, invalid, missing


class Parameters:
    """A JSON object inside a body. A member that is `null` counts as absent. All readers raise `Refusal`."""

    def __init__(self, values: Any, name: str = "") -> None:
        if not isinstance(values, dict):
            raise invalid(f"The {name or 'request body'} must be a JSON object.")
        self._values: dict[str, Any] = values
        self._name = name

    def named(self, member: str) -> str:
        """The member with its whole path, for messages."""
        return f"{self._name}.{member}" if self._name else member

    def only(self, known: frozenset[str]) -> None:
        """Refuse members that are not in `known`."""
        unknown = sorted(self._values.keys() - known)
        if unknown:
            raise Refusal(400, "parameter_unknown", f"Unknown parameters: {', '.join(map(self.named, unknown))}.")

    def given(self, member: str) -> bool:
        """Whether the member is there and not null."""
        return self._values.get(member) is not None

    def raw(self, member: str) -> Any:
        """The member as it is, None if absent."""
        return self._values.get(member)

    def text(self, member: str, *, required: bool = False, choices: tuple[str, ...] = ()) -> str | None:
        """A text; None if absent. An empty text counts as absent unless it is required."""
        value = self._values.get(member)
        if value is None or (value == "" and not required):
            self._absent(member, required=required)
            return None
        if not isinstance(value, str) or not value:
            raise invalid(f"The {self.named(member)} parameter must be a string that is not empty.")
        if choices and value not in choices:
            raise invalid(f"The {self.named(member)} parameter must be one of {', '.join(choices)}.")
        return value

    def number(
        self, member: str, *, required: bool = False, least: float | None = None, most: float | None = None
    ) -> float | None:
        """A number within the range; None if absent."""
        value = self._values.get(member)
        if value is None:
            self._absent(member, required=required)
            return None
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise invalid(f"The {self.named(member)} parameter must be a number.")
        if (least is not None and value < least) or (most is not None and value > most):
            raise invalid(f"The {self.named(member)} parameter must be between {least} and {most}.")
        return value

    def flag(self, member: str, default: bool) -> bool:
        """A boolean."""
        value = self._values.get(member)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise invalid(f"The {self.named(member)} parameter must be a boolean.")
        return value

    def objects(self, member: str, *, least: int = 0, most: int | None = None) -> list[Parameters]:
        """An array of objects."""
        value = self._values.get(member)
        if value is None and least == 0:
            return []
        if value is None:
            raise missing(self.named(member))
        if not isinstance(value, list) or len(value) < least or (most is not None and len(value) > most):
            raise invalid(f"The {self.named(member)} parameter must be an array of {least} to {most or 'any'} items.")
        return [Parameters(item, f"{self.named(member)}[{index}]") for index, item in enumerate(value)]

    def object(self, member: str) -> Parameters | None:
        """An object; None if absent."""
        value = self._values.get(member)
        return None if value is None else Parameters(value, self.named(member))

    def _absent(self, member: str, *, required: bool) -> None:
        if required:
            raise missing(self.named(member))
