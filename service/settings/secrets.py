"""The secrets of the settings and of the environment: which they are, and the settings without them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote
from urllib.request import getproxies

from pydantic import SecretStr

from service.settings.sources import effective, variable_of
from service.telemetry.redaction import MASK, clean, remember

if TYPE_CHECKING:
    from service.settings import Settings

_STORE_SECRETS = (
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
    "AZURE_STORAGE_ACCOUNT_KEY",
    "AZURE_STORAGE_ACCESS_KEY",
    "AZURE_STORAGE_KEY",
    "AZURE_STORAGE_CLIENT_SECRET",
    "AZURE_STORAGE_SAS_KEY",
    "AZURE_STORAGE_SAS_TOKEN",
    "AZURE_STORAGE_TOKEN",
)
"""Variables by which the libraries of the object stores are given their secrets."""


def secret_words(text: str | None) -> tuple[str, ...]:
    """The secrets in a setting that may hold several, separated by white space; each once."""
    return tuple(dict.fromkeys((text or "").split()))


def secrets_of(settings: Settings) -> frozenset[str]:
    """The secret values themselves, wherever they come from."""
    held = {value.get_secret_value() for _, value in effective(settings) if isinstance(value, SecretStr)}
    signing = (settings.webhook_secret(), settings.ingest_secret())
    console = (settings.console.sign_in_token(), settings.console.signing_secret())
    held |= {secret for secret in (settings.platform_api_key(), *signing, *console) if secret}
    held |= {word for secret in signing for word in secret_words(secret)}
    return frozenset(secret for secret in held if len(secret) >= 4)


def remember_secrets(settings: Settings) -> None:
    """Keep the secrets of the settings and of the environment's proxies out of every text of this process."""
    for secret in secrets_of(settings):
        remember(secret, settings.kafka.sasl_username)
    for name in _STORE_SECRETS:
        remember(os.environ.get(name))
    for url in (settings.platform.base_url, *getproxies().values()):
        _remember_credentials(url)


def _remember_credentials(url: str) -> None:
    """`user:password@` of a URL; a proxy may be given without a scheme."""
    credentials, at, _host = url.rpartition("://")[2].rpartition("@")
    user, _, password = credentials.partition(":")
    if at and password:
        remember(password, user)
        remember(unquote(password), unquote(user))


def redacted(settings: Settings) -> dict[str, object]:
    """Every variable and its effective value, plain and without secrets: for `config` and for logs."""
    shown: dict[str, object] = {}
    for variable, value in effective(settings):
        if isinstance(value, SecretStr):
            shown[variable] = MASK
        elif isinstance(value, tuple):
            shown[variable] = [clean(str(part)) for part in value]
        elif isinstance(value, Path):
            shown[variable] = str(value)
        else:
            shown[variable] = clean(value) if isinstance(value, str) else value
    key = variable_of(("platform", "api_key"))
    if shown[key] is None and settings.platform_api_key() is not None:
        shown[key] = MASK  # out of its file, or TWELVELABS_API_KEY
    return shown
