"""Notifications of S3 and of stores that speak it, such as MinIO; and of S3 through EventBridge.

The shape is that of Amazon's page on the structure of event messages. In `Records` the key is encoded as a form is:
a space is `+`. In an event of EventBridge the key is as it is.
"""

from __future__ import annotations

from urllib.parse import unquote_plus

from service.ingest.notifications.arrival import Arrival, Notice, OtherEvent
from service.ingest.notifications.members import (
    Members,
    invalid,
    members_of,
    number_or_none,
    seconds_or_none,
    text_of,
    text_or_none,
    texts_of,
)

_CREATED = "ObjectCreated:"
_NO_VERSION = (None, "null")
_META = "x-amz-meta-"


def notice_of_entry(entry: object, where: str) -> Notice:
    """One entry of `Records`; `where` names it, such as `Records[3].`. Raises `Unreadable`."""
    if not isinstance(entry, dict):
        raise invalid(f"{where.rstrip('.')}: must be a JSON object")
    event = text_of(entry, "eventName", where).removeprefix("s3:")
    if not event.startswith(_CREATED):
        return OtherEvent(event)
    s3 = members_of(entry, "s3", where)
    bucket = text_of(members_of(s3, "bucket", f"{where}s3."), "name", f"{where}s3.bucket.")
    found = members_of(s3, "object", f"{where}s3.")
    key = _decoded(text_of(found, "key", f"{where}s3.object."), f"{where}s3.object.key")
    metadata = texts_of(found.get("userMetadata"))  # MinIO says it, Amazon does not
    return _arrival(
        bucket,
        key,
        version=text_or_none(found, "versionId"),
        etag=text_or_none(found, "eTag"),
        sequencer=text_or_none(found, "sequencer"),
        size=number_or_none(found.get("size")),
        event_at=seconds_or_none(entry.get("eventTime")),
        metadata={name.removeprefix(_META): value for name, value in metadata.items()},
    )


def notice_of_eventbridge(event: Members) -> Notice:
    """An event of the source `aws.s3`. Raises `Unreadable`."""
    kind = text_of(event, "detail-type")
    if kind != "Object Created":
        return OtherEvent(kind)
    detail = members_of(event, "detail")
    found = members_of(detail, "object", "detail.")
    return _arrival(
        text_of(members_of(detail, "bucket", "detail."), "name", "detail.bucket."),
        text_of(found, "key", "detail.object."),
        version=text_or_none(found, "version-id"),
        etag=text_or_none(found, "etag"),
        sequencer=text_or_none(found, "sequencer"),
        size=number_or_none(found.get("size")),
        event_at=seconds_or_none(event.get("time")),
        metadata={},
    )


def _decoded(key: str, where: str) -> str:
    try:
        return unquote_plus(key, errors="strict")
    except UnicodeDecodeError:
        raise invalid(f"{where}: is not UTF-8 when it is decoded") from None


def _arrival(
    bucket: str,
    key: str,
    *,
    version: str | None,
    etag: str | None,
    sequencer: str | None,
    size: int | None,
    event_at: float | None,
    metadata: dict[str, str],
) -> Arrival:
    versioned = version not in _NO_VERSION
    return Arrival(
        "s3",
        bucket,
        key,
        version=version if versioned else etag,
        versioned=versioned,
        sequencer=sequencer,
        size=size,
        event_at=event_at,
        uri=f"s3://{bucket}/{key}",
        metadata=metadata,
    )
