"""What proves our identity to Kafka, and Kafka's to us: certificates and secrets, read from disk when they change."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog
from pydantic import SecretStr

from service.errors import SettingsError
from service.kafka.connecting.tokens import ClientCredentials, MskTokens, msk_region
from service.settings import KafkaSettings
from service.settings.sources import secret_from_file, variable_of
from service.telemetry.events import LogEvent
from service.telemetry.redaction import remember

log = structlog.get_logger()

Fingerprint = tuple[tuple[str, int, int, int], ...]
"""Which version of the files was read: path, inode, size and time of change of each."""

_MOST_KEPT = 8


@dataclass(slots=True)
class _Kept:
    """The last options that could be made for some settings, and which version of the files was tried last."""

    tried: Fingerprint
    options: Mapping[str, Any]


_KEPT: dict[KafkaSettings, _Kept] = {}
"""Shared by all clients of the process: a TLS context takes long to make, and a token is asked for once for all."""


def fingerprint(settings: KafkaSettings) -> Fingerprint:
    """Which versions of the files are on disk. Cheap; a file that can't be looked at counts as missing."""
    found = []
    for path in _files(settings):
        try:
            seen = path.stat()
        except OSError:
            found.append((str(path), 0, 0, 0))
        else:
            found.append((str(path), seen.st_ino, seen.st_size, seen.st_mtime_ns))
    return tuple(found)


def security_options(settings: KafkaSettings) -> Mapping[str, Any]:
    """The options of an aiokafka client that hold secrets and certificates, as they are on disk now.

    While a renewal is half done, the last ones that could be used. Raises `SettingsError` when there are none.
    """
    now = fingerprint(settings)
    kept = _KEPT.get(settings)
    if kept is not None and kept.tried == now:
        return kept.options
    try:
        options = _options(settings)
    except SettingsError as error:
        if kept is None:
            raise
        kept.tried = now
        log.warning(LogEvent.CREDENTIALS_UNUSABLE, reason=str(error))
        return kept.options
    if kept is not None:
        log.info(LogEvent.CREDENTIALS_RENEWED)
    _KEPT.pop(settings, None)
    _KEPT[settings] = _Kept(now, options)
    while len(_KEPT) > _MOST_KEPT:
        del _KEPT[next(iter(_KEPT))]
    return options


def _options(settings: KafkaSettings) -> Mapping[str, Any]:
    options: dict[str, Any] = {"security_protocol": settings.security_protocol}
    if settings.security_protocol.endswith("SSL"):
        options["ssl_context"] = _tls(settings)
    if not settings.security_protocol.startswith("SASL"):
        return options
    if settings.sasl_mechanism == "AWS_MSK_IAM":
        return options | {
            "sasl_mechanism": "OAUTHBEARER",
            "sasl_oauth_token_provider": MskTokens(msk_region(settings)),
        }
    options["sasl_mechanism"] = settings.sasl_mechanism
    if settings.sasl_mechanism == "OAUTHBEARER":
        secret = _secret(
            settings.sasl_oauth_client_secret, settings.sasl_oauth_client_secret_file, "oauth_client_secret"
        )
        options["sasl_oauth_token_provider"] = ClientCredentials(
            settings.sasl_oauth_token_url or "",
            settings.sasl_oauth_client_id or "",
            secret or "",
            settings.sasl_oauth_scope,
        )
        return options
    password = _secret(settings.sasl_password, settings.sasl_password_file, "password")
    remember(password, settings.sasl_username)
    return options | {"sasl_plain_username": settings.sasl_username, "sasl_plain_password": password}


def _files(settings: KafkaSettings) -> list[Path]:
    files = (
        settings.ssl_cafile,
        settings.ssl_certfile,
        settings.ssl_keyfile,
        settings.sasl_password_file,
        settings.sasl_oauth_client_secret_file,
    )
    return [path for path in files if path is not None]


def _secret(value: SecretStr | None, path: Path | None, name: str) -> str | None:
    if path is None:
        return value.get_secret_value() if value is not None else None
    try:
        return secret_from_file(path, variable_of(("kafka", f"sasl_{name}_file"))).get_secret_value()
    except ValueError as error:
        raise SettingsError(str(error)) from None


def _tls(settings: KafkaSettings) -> ssl.SSLContext:
    cafile = settings.ssl_cafile
    try:
        context = ssl.create_default_context(cafile=str(cafile) if cafile else None)
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(
            f"REELWIRE_KAFKA__SSL_CAFILE: {cafile} can't be used: {_what_is_wrong(error, 'certificate')}"
        ) from None
    if settings.ssl_certfile is None:
        return context
    # Never None: OpenSSL would ask for the password of an encrypted key on the terminal, and wait for it.
    password = settings.ssl_key_password.get_secret_value() if settings.ssl_key_password else ""
    key = str(settings.ssl_keyfile) if settings.ssl_keyfile else None
    try:
        context.load_cert_chain(str(settings.ssl_certfile), key, password)
    except (OSError, ssl.SSLError, ValueError) as error:
        raise SettingsError(_key_trouble(settings, error)) from None
    return context


def _key_trouble(settings: KafkaSettings, error: Exception) -> str:
    """What is wrong with our certificate and its key: OpenSSL says the same of a wrong password and of no key."""
    key = settings.ssl_keyfile or settings.ssl_certfile
    if getattr(error, "reason", None) == "KEY_VALUES_MISMATCH":
        return f"REELWIRE_KAFKA__SSL_KEYFILE: {key} is not the key of the certificate in {settings.ssl_certfile}"
    try:
        encrypted = key is not None and b"ENCRYPTED" in key.read_bytes()
    except OSError:
        encrypted = False
    if encrypted:
        wrong = "does not open" if settings.ssl_key_password else "is needed for"
        return f"REELWIRE_KAFKA__SSL_KEY_PASSWORD: {wrong} the key in {key}"
    what = _what_is_wrong(error, "certificate with its key")
    return f"REELWIRE_KAFKA__SSL_CERTFILE, REELWIRE_KAFKA__SSL_KEYFILE: {settings.ssl_certfile}, {key}: {what}"


def _what_is_wrong(error: Exception, expected: str) -> str:
    if isinstance(error, OSError) and not isinstance(error, ssl.SSLError) and error.strerror:
        return error.strerror
    return f"it holds no {expected} in PEM form"
