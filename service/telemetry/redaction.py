"""Keeping secrets out of what people read: logs, printed settings, errors."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from pydantic import SecretStr

from service.settings import Settings, variable_of
from service.settings.sources import effective

MASK = "***"

# Names whose value is a secret. A Kafka record's `key` and counts of tokens are none.
_SECRET_NAME = re.compile(r"(?i)(key|password|passwd|secret|authorization|cookie|(^|[_-])token)$")
_HARMLESS = frozenset({"key", "record_key", "idempotency_key", "tombstone_key"})

# A query may hold a presigned signature, and the part before @ a password.
_QUERY = re.compile(r"(\b[a-z][a-z0-9+.-]*://[^\s?\"'<>\\]+)\?[^\s\"'<>\\]+", re.IGNORECASE)
_USERINFO = re.compile(r"(\b[a-z][a-z0-9+.-]*://)[^\s/@\"'<>]+@", re.IGNORECASE)

# Base64 of a video, a whole response: nothing longer than this belongs in a line of a log.
LONGEST = 4096


def secrets_of(settings: Settings) -> frozenset[str]:
    """The secret values themselves, wherever they come from."""
    held = {value.get_secret_value() for _, value in effective(settings) if isinstance(value, SecretStr)}
    held |= {secret for secret in (settings.platform_api_key(), settings.webhook_secret()) if secret}
    return frozenset(secret for secret in held if len(secret) >= 4)


def redacted(settings: Settings) -> dict[str, object]:
    """Every variable and its effective value, plain and without secrets: for `config` and for logs."""
    shown: dict[str, object] = {}
    for variable, value in effective(settings):
        if isinstance(value, SecretStr):
            shown[variable] = MASK
        elif isinstance(value, tuple):
            shown[variable] = [str(part) for part in value]
        elif isinstance(value, Path):
            shown[variable] = str(value)
        else:
            shown[variable] = redacted_text(value) if isinstance(value, str) else value
    key = variable_of(("platform", "api_key"))
    if shown[key] is None and settings.platform_api_key() is not None:
        shown[key] = MASK  # out of its file, or TWELVELABS_API_KEY
    return shown


def redacted_text(text: str, secrets: Iterable[str] = ()) -> str:
    """`text` without secret values, query strings and credentials of URLs, and of bounded length."""
    for secret in secrets:
        text = text.replace(secret, MASK)
    if "://" in text:
        text = _USERINFO.sub(rf"\1{MASK}@", _QUERY.sub(rf"\1?{MASK}", text))
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}… ({len(text)} characters)"


def redacted_value(name: str, value: object, secrets: frozenset[str]) -> object:
    """`value`, logged or printed under `name`, without secrets at any depth."""
    if value is not None and name not in _HARMLESS and _SECRET_NAME.search(name):
        return MASK
    if isinstance(value, str):
        return redacted_text(value, secrets)
    if isinstance(value, bytes):
        return redacted_text(value[:LONGEST].decode("utf-8", "replace"), secrets)
    if isinstance(value, Mapping):
        return {str(key): redacted_value(str(key), inner, secrets) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [redacted_value(name, inner, secrets) for inner in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    return redacted_text(str(value), secrets)
