"""The secrets that sign webhooks: several may be valid at once, and their file is read again when it changes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import structlog

from service.errors import SettingsError
from service.settings import Settings
from service.settings.secrets import secret_words
from service.telemetry.events import LogEvent
from service.telemetry.redaction import remember

log = structlog.get_logger()

_Stamp = tuple[int, int, int]


class SigningSecrets:
    """The secrets of one kind of messages. `read` gives the text that holds them, `file` is where that comes from."""

    def __init__(self, file: Path | None, read: Callable[[], str | None]) -> None:
        self._file = file
        self._text = read
        self._stamp = _stamp(file)
        self._secrets = secret_words(read())

    def current(self) -> tuple[str, ...]:
        """Every secret that is valid now; empty when such messages are not taken. Asks for the file's age."""
        stamp = _stamp(self._file)
        if stamp is not None and stamp != self._stamp:
            self._stamp = stamp
            self._read()
        return self._secrets

    def _read(self) -> None:
        try:
            secrets = secret_words(self._text())
        except (ValueError, SettingsError) as error:  # perhaps while it is being replaced
            log.warning(LogEvent.WEBHOOK_KEY_UNUSABLE, reason=str(error))
            return
        for secret in secrets:
            remember(secret)
        self._secrets = secrets
        log.info(LogEvent.WEBHOOK_KEY_RENEWED, secrets=len(secrets))


class WebhookSecrets(SigningSecrets):
    """The secrets of the platform's webhooks. One per process."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings.webhooks.secret_file, settings.webhook_secret)


def _stamp(path: Path | None) -> _Stamp | None:
    if path is None:
        return None
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
