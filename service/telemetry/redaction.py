"""Keeps secrets out of what people read: logs, errors, events, printed settings.

Two things are taken out of a text: the secret values that this process knows (`remember`), in every usual spelling,
and what looks like a secret: credentials and queries of URLs, values of headers and assignments that carry
secrets, and long runs of base64. Every function here takes time in proportion to the length of the text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from service.telemetry.known_secrets import MASK, KnownSecrets
from service.telemetry.plain_view import views
from service.telemetry.secret_patterns import looks_secret

__all__ = [
    "KNOWN",
    "LONGEST",
    "MASK",
    "KnownSecrets",
    "clean",
    "clean_for_log",
    "clean_members",
    "clean_value",
    "remember",
]

LONGEST = 4096
"""Characters of one value in a line of a log: a whole response of a platform does not belong there."""

_MOST_CHARS = 32_768  # what is behind is dropped unread: no message needs it
_DEEPEST = 8
_LARGEST_BITS = 1000

# Names whose value is a secret. A Kafka record's `key` and counts of tokens are none.
_SECRET_NAME = re.compile(r"(?i)(key|password|passwd|secret|signature|authorization|cookie|(^|[_-])token)$")
_HARMLESS = frozenset({"key", "record_key", "idempotency_key", "tombstone_key"})

_UNFIT = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
_LONGEST_WORD = 256
_BASE64_RUN = re.compile(rf"(?<![A-Za-z0-9+/=_-])[A-Za-z0-9+/=_-]{{{_LONGEST_WORD + 1},}}+")


KNOWN = KnownSecrets()
"""Those of this process: filled when settings and files of secrets are read."""


def remember(secret: str | None, user: str | None = None) -> None:
    """Add a secret to those that this process keeps out of its texts."""
    KNOWN.remember(secret, user)


def clean(text: str) -> str:
    """`text` without secrets. For the border where foreign text enters, and for whatever is shown or published."""
    if len(text) > _MOST_CHARS:
        # The cut may have divided a secret: its first part goes as well.
        text = KNOWN.masked(text[:_MOST_CHARS])
        words = text[: max(0, len(text) - KNOWN.longest)].rsplit(maxsplit=1)
        text = (words[0] if words else "") + "…"
    text = _masked(text, KNOWN)
    return _BASE64_RUN.sub(_base64_size, text) if len(text) > _LONGEST_WORD else text


def _masked(text: str, known: KnownSecrets) -> str:
    """`text` without the secrets that are known, in any spelling, and without what looks like one."""
    text = known.masked(text)
    spans: list[tuple[int, int]] = []
    view = None
    for view in views(text):
        spans += known.spans(view)
    if view is not None:
        spans += (view.span(start, end) for start, end in looks_secret(view))
    if not spans:
        return text
    parts: list[str] = []
    done = 0
    for start, end in sorted(spans):
        if start >= done:
            parts += text[done:start], MASK
        done = max(done, end)
    parts.append(text[done:])
    return "".join(parts)


def clean_for_log(text: str) -> str:
    """`clean`, of bounded length, and without what a log can't hold: lone surrogates and control characters."""
    text = clean(text)
    if not text.isprintable():
        text = _UNFIT.sub(lambda match: match[0].encode("unicode_escape").decode(), text)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}… ({len(text)} characters)"


def clean_members(value: object, also: KnownSecrets | None = None) -> object:
    """Every text inside a JSON value, cleaned, `also` of these secrets. Members of enumerations stay what they are."""
    if type(value) is str:
        cleaned = clean(value)
        return cleaned if also is None else _masked(cleaned, also)
    if isinstance(value, Mapping):
        return {name: clean_members(inner, also) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [clean_members(inner, also) for inner in value]
    return value


def clean_value(name: str, value: object, depth: int = 0) -> object:
    """`value`, logged or printed under `name`, without secrets at any depth and of bounded length."""
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        return str(value) if value.bit_length() < _LARGEST_BITS else "(a number of more than 300 digits)"
    if value is None or isinstance(value, bool | int | float):
        return value
    if name not in _HARMLESS and _SECRET_NAME.search(name):
        return MASK
    if isinstance(value, str):
        return clean_for_log(value)
    if isinstance(value, bytes):
        return clean_for_log(value[:_MOST_CHARS].decode("utf-8", "replace"))
    if depth >= _DEEPEST:
        return "…"
    if isinstance(value, Mapping):
        return {clean_for_log(str(key)): clean_value(str(key), inner, depth + 1) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [clean_value(name, inner, depth + 1) for inner in value]
    return clean_for_log(_text(value))


def _text(value: object) -> str:
    try:
        return str(value)
    except Exception as error:  # noqa: BLE001 -- a log line must not fail because of what it tells
        return f"<{type(value).__name__} that can't be shown: {type(error).__name__}>"


def _base64_size(match: re.Match[str]) -> str:
    return f"({match.end() - match.start()} characters of base64)"
