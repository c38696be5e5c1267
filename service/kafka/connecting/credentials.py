"""What proves our identity to Kafka, and Kafka's to us: certificates and passwords, read from disk when they change."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from service.errors import SettingsError
from service.settings import KafkaSettings
from service.settings.sources import secret_from_file, variable_of
from service.telemetry.redaction import remember
from service.words import in_words

Fingerprint = tuple[tuple[str, int, int, int], ...]
"""Which version of the files was read: path, inode, size and time of change of each."""


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
    """The options of an aiokafka client that hold secrets and certificates, read from disk now.

    Raises `SettingsError` for files that can't be read or don't belong together.
    """
    options: dict[str, Any] = {"security_protocol": settings.security_protocol}
    if settings.security_protocol.endswith("SSL"):
        options["ssl_context"] = _tls(settings)
    if settings.security_protocol.startswith("SASL"):
        options["sasl_mechanism"] = settings.sasl_mechanism
        options["sasl_plain_username"] = settings.sasl_username
        options["sasl_plain_password"] = _password(settings)
    return options


def _files(settings: KafkaSettings) -> list[Path]:
    files = (settings.ssl_cafile, settings.ssl_certfile, settings.ssl_keyfile, settings.sasl_password_file)
    return [path for path in files if path is not None]


def _password(settings: KafkaSettings) -> str | None:
    if settings.sasl_password_file is not None:
        variable = variable_of(("kafka", "sasl_password_file"))
        try:
            password = secret_from_file(settings.sasl_password_file, variable).get_secret_value()
        except ValueError as error:
            raise SettingsError(str(error)) from None
        remember(password, settings.sasl_username)
        return password
    return settings.sasl_password.get_secret_value() if settings.sasl_password is not None else None


def _tls(settings: KafkaSettings) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=str(settings.ssl_cafile) if settings.ssl_cafile else None)
        if settings.ssl_certfile:
            key = str(settings.ssl_keyfile) if settings.ssl_keyfile else None
            # Never None: OpenSSL would ask for the password of an encrypted key on the terminal, and wait for it.
            password = settings.ssl_key_password.get_secret_value() if settings.ssl_key_password else ""
            context.load_cert_chain(str(settings.ssl_certfile), key, password)
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(f"REELWIRE_KAFKA__SSL_*: the certificates can't be used: {in_words(error)}") from None
    return context
