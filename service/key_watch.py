"""Takes a new platform key when the old one is refused, and finds out when it is accepted again."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from service.errors import SettingsError
from service.platform.client import PlatformClient
from service.platform.errors import PlatformError
from service.settings import Settings
from service.telemetry.redaction import remember

_EVERY_SECONDS = 5.0


class KeyWatch:
    """One task of the process. While the key is refused, intake is closed: perhaps no job is left that would call."""

    def __init__(self, settings: Settings, platform: PlatformClient, key: str) -> None:
        self._settings = settings
        self._platform = platform
        self._key = key

    async def run(self) -> None:
        """Runs until it is cancelled. One cheap call every few seconds, and only while the key is refused."""
        while True:
            await asyncio.sleep(_EVERY_SECONDS)
            if self._platform.unauthorized:
                await self._ask_again()

    async def _ask_again(self) -> None:
        """The key's file may have been replaced since it was read."""
        with suppress(ValueError, SettingsError):  # it can't be read now, perhaps while it is being replaced
            key = self._settings.platform_api_key()
            if key and key != self._key:
                remember(key)
                self._platform.use_key(key)
                self._key = key
        with suppress(PlatformError):
            await self._platform.check_key()
