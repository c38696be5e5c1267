"""Finding a Chromium on this machine. None is ever downloaded."""

from __future__ import annotations

import shutil

NAMES = ("chromium", "chromium-browser", "google-chrome")
OPTIONS = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-features=LocalNetworkAccessChecks"]
"""For containers, where Chromium has no sandbox and little shared memory.

A page of a public origin would have to ask before it may reach this machine; in the tests nobody answers.
"""


def chromium() -> str | None:
    """The path of the first browser on PATH; None: there is none."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)
