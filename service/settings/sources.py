"""Where settings come from: the environment and a TOML file; what is wrong with them, by variable name."""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, SecretStr, ValidationError
from pydantic.fields import FieldInfo

from contracts.rejection import violation_words
from service.errors import SettingsError
from service.telemetry.redaction import MASK, remember

PREFIX = "REELWIRE_"
CONFIG_VARIABLE = "REELWIRE_CONFIG"

# Variables with our prefix that are no settings of a section.
OTHER_VARIABLES = frozenset({CONFIG_VARIABLE, "REELWIRE_FAILPOINT", "REELWIRE_GUARD_PID_FILE"})

_SHOWN_CHARS = 100
_NO_SUCH = "there is no such setting"

Members = dict[str, tuple[str, str, FieldInfo]]


def variable_of(location: tuple[int | str, ...]) -> str:
    """The environment variable that sets the member at `location`."""
    return PREFIX + "__".join(str(part).upper() for part in location if not isinstance(part, int))


def members(model: type[BaseModel]) -> Members:
    """Every setting of `model`, which holds sections only: variable to section, name and field."""
    return {
        variable_of((section, name)): (section, name, field)
        for section, outer in model.model_fields.items()
        if isinstance(outer.annotation, type) and issubclass(outer.annotation, BaseModel)
        for name, field in outer.annotation.model_fields.items()
    }


def read_toml() -> dict[str, Any]:
    """The file that `REELWIRE_CONFIG` names; empty without one. Raises `SettingsError` with path and line."""
    name = os.environ.get(CONFIG_VARIABLE)
    if not name:
        return {}
    try:
        text = Path(name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise SettingsError(f"{CONFIG_VARIABLE}: {name} can't be read: {reason}") from None
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"\(at line (\d+), column \d+\)", str(error))
        line = found.group(1) if found else str(text.count("\n") + 1)
        reason = re.sub(r"\s*\(at .*\)$", "", str(error))
        raise SettingsError(f"{CONFIG_VARIABLE}: {name}:{line}: not valid TOML: {reason}") from None


def unknown_names(model: type[BaseModel], file: Mapping[str, Any]) -> list[str]:
    """A line for each name that sets nothing: a misspelt variable would otherwise be ignored in silence."""
    known = members(model)
    sections = {variable_of((name,)) for name in model.model_fields}
    lines = []
    for name in sorted(os.environ):
        upper = name.upper()
        if upper.startswith(PREFIX) and upper not in known | dict.fromkeys(sections | OTHER_VARIABLES):
            lines.append(f"{name}: {_NO_SUCH}{_meant(upper, known)}")
    for section, content in file.items():
        if variable_of((section,)) not in sections:
            lines.append(f"{_in_file(section)}: there is no such section, only {', '.join(model.model_fields)}")
        elif not isinstance(content, dict):
            lines.append(f"{_in_file(section)}: is a section, write it as [{section}]")
        else:
            # As spelled: the names in a file are lower case.
            names = {name for of, name, _field in known.values() if of == section}
            lines += [
                f"{_in_file(section, name)}: {_NO_SUCH}{_meant(variable_of((section, name)), known)}"
                for name in content
                if name not in names
            ]
    return lines


def _in_file(*path: str) -> str:
    return f"{os.environ.get(CONFIG_VARIABLE)}: {'.'.join(path)}"


def _meant(name: str, known: Members) -> str:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.8)
    return f"; is {near[0]} meant?" if near else ""


def explain(error: ValidationError, model: type[BaseModel], file: Mapping[str, Any]) -> list[str]:
    """One line for each wrong setting, with its variable, its value unless it is a secret, and the rule.

    An unknown member of a section that was given as JSON is told by its name only: its value may be the secret that
    was meant for another name.
    """
    known = members(model)
    given_names = {name.upper() for name in os.environ}
    lines = []
    for item in error.errors():
        if item["type"] == "extra_forbidden":
            section, name = (str(part) for part in item["loc"][:2])
            variable = variable_of((section, name))
            if variable not in given_names and name not in file.get(section, {}):  # else `unknown_names` told it
                lines.append(f"{variable_of((section,))}: {shown(name)}: {_NO_SUCH}{_meant(variable, known)}")
            continue
        message = str(item["ctx"]["error"]) if item["type"] == "value_error" else violation_words(item)
        variable = variable_of(item["loc"][:2])
        if variable not in known:  # a rule between settings, which names them itself
            lines.append(message if PREFIX in message else f"{variable}: {message}")
            continue
        section, name, field = known[variable]
        origin = ""
        if name in file.get(section, {}) and variable not in given_names:
            origin = f" (in {os.environ.get(CONFIG_VARIABLE)}: {section}.{name})"
        given = item["input"]
        value = f"{shown(given)}: " if not is_secret(field) and isinstance(given, str | int | float) else ""
        lines.append(f"{variable}{origin}: {value}{message}")
    return lines


def shown(value: object) -> str:
    """A wrong value: text in quotes, bounded, and without what stands before an `@`: it may be a password."""
    if not isinstance(value, str):
        return str(value)
    before, at, rest = value.rpartition("@")
    text = f"{MASK}@{rest}" if at and before else value
    return f"'{text[:_SHOWN_CHARS]}…'" if len(text) > _SHOWN_CHARS else f"'{text}'"


def is_secret(field: FieldInfo) -> bool:
    """Whether the member holds a secret, by its type."""
    return "SecretStr" in str(field.annotation)


def origins(model: type[BaseModel]) -> dict[str, str]:
    """Where each setting's effective value comes from: `env`, `file` or `default`."""
    file = read_toml()
    given = {name.upper() for name in os.environ}
    found = {}
    for variable, (section, name, _field) in members(model).items():
        if variable in given or variable_of((section,)) in given:
            found[variable] = "env"
        elif name in file.get(section, {}):
            found[variable] = "file"
        else:
            found[variable] = "default"
    return found


def secret_from_file(path: Path, variable: str) -> SecretStr:
    """The content of a secret's file without surrounding white space; `ValueError` names `variable`."""
    try:
        text = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ValueError(f"{variable}: {path} can't be read: {reason}") from None
    if not text:
        raise ValueError(f"{variable}: {path} is empty")
    remember(text)
    return SecretStr(text)


def effective(settings: BaseModel) -> Iterator[tuple[str, object]]:
    """Every variable with its effective value, as it is: secrets are still wrapped."""
    for variable, (section, name, _field) in members(type(settings)).items():
        yield variable, getattr(getattr(settings, section), name)
