"""What every section of the settings has in common."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator


class Section(BaseModel):
    """A section of the settings: frozen, without unknown members."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    @model_validator(mode="before")
    @classmethod
    def _empty_is_unset(cls, data: Any) -> Any:
        """An empty variable unsets what is optional, as `${SECRET:-}` in compose files; else it is wrong."""
        if not isinstance(data, dict):
            return data
        fields = cls.model_fields
        return {
            name: None if value == "" and name in fields and fields[name].default is None else value
            for name, value in data.items()
        }
