"""The checks of `doctor` on the platform and on the file roots."""

from __future__ import annotations

import os

import httpx

from service.cli.checks.finding import Finding
from service.settings import Settings
from service.telemetry.redaction import clean
from service.words import in_words

_KEY = "REELWIRE_PLATFORM__API_KEY (or …_API_KEY_FILE, or TWELVELABS_API_KEY)"
_URL = "REELWIRE_PLATFORM__BASE_URL"


async def check_platform(settings: Settings) -> Finding:
    """Send one call that costs nothing but needs a valid API key."""
    key, url = settings.platform_api_key(), settings.platform.base_url.rstrip("/")
    if not key:
        return Finding("fail", "platform", "there is no API key", f"set {_KEY}")
    limits = httpx.Timeout(settings.platform.connect_timeout_seconds)
    try:
        async with httpx.AsyncClient(timeout=limits) as client:
            answer = await client.get(f"{url}/assets", params={"page_limit": 1}, headers={"x-api-key": key})
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        detail = clean(f"{url} does not answer: {in_words(error)}")
        return Finding("unreachable", "platform", detail, f"check network and proxy, or correct {_URL}")
    return _answered(clean(url), answer)


def _answered(url: str, answer: httpx.Response) -> Finding:
    status = answer.status_code
    if status in (401, 403):
        return Finding("fail", "platform", f"{url} refuses the key ({status})", f"set a valid one: {_KEY}")
    if status == 429:
        return Finding("warn", "platform", f"{url} accepts the key, but its rate limit is reached", "wait, or raise it")
    if status >= 500:
        return Finding("unreachable", "platform", f"{url} answers {status}", "try again later; see its status page")
    if status != 200 or "json" not in answer.headers.get("content-type", ""):
        return Finding("fail", "platform", f"{url} answers {status}, not as the platform does", f"correct {_URL}")
    return Finding("ok", "platform", f"{url} answers and accepts the key")


def check_file_roots(settings: Settings) -> list[Finding]:
    """Check that each folder of `sources.file_roots` exists and can be read."""
    name, found = "REELWIRE_SOURCES__FILE_ROOTS", []
    for root in settings.sources.file_roots:
        if not root.is_dir():
            found.append(
                Finding(
                    "fail", f"file root {root}", "is not a directory on this machine", f"mount it, or correct {name}"
                )
            )
        elif not os.access(root, os.R_OK | os.X_OK):
            found.append(Finding("fail", f"file root {root}", "can't be read", f"give user {os.getuid()} access to it"))
        else:
            found.append(Finding("ok", f"file root {root}", "can be read"))
    return found or [Finding("ok", "file roots", f"none: requests of type file end as failed ({name})")]
