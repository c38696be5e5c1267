"""Texts with names in braces: `cam/{camera}` becomes `cam/dock4`. What stands in a name comes from strangers."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from urllib.parse import quote

from service.footage.names import has_controls

_NAME = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")


class NoSuchName(ValueError):
    """A template asks for a name that the event does not have, or whose text can't be put there."""


def names_in(template: str) -> frozenset[str]:
    """The names that a template asks for."""
    return frozenset(_NAME.findall(template))


def filled(template: str, values: Mapping[str, str]) -> str:
    """The text with every name replaced. Raises `NoSuchName`."""
    return _filled(template, values, lambda text: text)


def filled_url(template: str, values: Mapping[str, str]) -> str:
    """A URL: what is put into it is encoded, slashes too, so that it can't lead elsewhere. Raises `NoSuchName`."""
    return _filled(template, values, lambda text: quote(_one_part(text), safe=""))


def filled_path(template: str, values: Mapping[str, str]) -> str:
    """A path or the URI of an object: what is put into it is one part of it, never `..`. Raises `NoSuchName`."""
    return _filled(template, values, _one_part)


def _one_part(text: str) -> str:
    if not text or text in (".", "..") or "/" in text or "\\" in text or has_controls(text):
        raise NoSuchName(
            "what is put into `video` must be one part of a path: not empty, no slash, not only dots, no control "
            "characters"
        )
    return text


def _filled(template: str, values: Mapping[str, str], shaped: Callable[[str], str]) -> str:
    def value(found: re.Match[str]) -> str:
        name = found[1]
        if name not in values:
            raise NoSuchName(f"there is no {{{name}}} for this event")
        return shaped(values[name])

    return _NAME.sub(value, template)
