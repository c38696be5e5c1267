"""Notifications of Azure Blob Storage through Event Grid, in its own schema or as CloudEvents.

The shape is that of Azure's page on Blob Storage as an Event Grid source. The blob is named by `data.url`, encoded.
"""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

from service.ingest.notifications.arrival import Arrival, Notice, OtherEvent
from service.ingest.notifications.members import (
    Members,
    invalid,
    members_of,
    number_or_none,
    seconds_or_none,
    text_of,
    text_or_none,
)

STORAGE = "Microsoft.Storage."
_CREATED = "Microsoft.Storage.BlobCreated"
# With a hierarchical namespace a file is created empty, and flushed when it is complete.
_STILL_EMPTY = frozenset({"CreateFile", "SftpCreate"})


def notice_of_event(event: Members) -> Notice:
    """One event, of either schema. Raises `Unreadable`."""
    kind = text_or_none(event, "eventType", "type") or ""
    if kind != _CREATED:
        return OtherEvent(kind)
    data = members_of(event, "data")
    api = text_or_none(data, "api") or ""
    if api in _STILL_EMPTY:
        return OtherEvent(f"{kind}:{api}")
    account, container, name = _named(text_of(data, "url", "data."))
    return Arrival(
        "azure",
        container,
        name,
        version=text_or_none(data, "eTag"),
        sequencer=text_or_none(data, "sequencer"),
        size=number_or_none(data.get("contentLength")),
        event_at=seconds_or_none(event.get("eventTime") or event.get("time")),
        uri=f"az://{container}/{name}",
        fields={"account": account},
    )


def _named(url: str) -> tuple[str, str, str]:
    """Account, container and name. Raises `Unreadable`."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        path = unquote(parts.path, errors="strict").removeprefix("/")
    except ValueError:
        raise invalid("data.url: is no URL of a blob") from None
    container, _, name = path.partition("/")
    if parts.scheme not in ("http", "https") or not container or not name:
        raise invalid("data.url: is no URL of a blob")
    return host.partition(".")[0], container, name
