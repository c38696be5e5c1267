"""An address that can't be listened at: the same words, and the same exit code, for every server of ours."""

from __future__ import annotations

import errno

from service.errors import SettingsError
from service.words import in_words


def unbindable(error: OSError, host: str, port: int, *, host_setting: str, port_setting: str) -> SettingsError:
    """What to raise when `host` and `port` can't be had; the settings or options are named."""
    if error.errno == errno.EADDRINUSE:
        problem = f"port {port} of {host} is in use; stop its owner or choose another (0: any free one)"
        return SettingsError(f"{port_setting}: {problem}")
    if error.errno == errno.EACCES:
        return SettingsError(f"{port_setting}: no permission to listen on port {port}; choose one above 1023")
    return SettingsError(f"{host_setting}: can't listen on {host}: {in_words(error)}; {port_setting} is {port}")
